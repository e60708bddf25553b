"""Events out: posts what happened in a tenant to the receivers that its hooks name."""
