"""The carrier of objects: server-side copies between buckets, every one taken back exactly."""
