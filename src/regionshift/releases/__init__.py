"""The releases of one environment: the catalog that keeps them, and which of them is deployed in which region."""
