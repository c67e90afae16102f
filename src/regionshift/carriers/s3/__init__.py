"""The carrier of S3 objects: server-side copies between buckets, with exact undo."""
