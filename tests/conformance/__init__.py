"""ONNX's own backend suite, whole, against oxide_xla.backend."""
