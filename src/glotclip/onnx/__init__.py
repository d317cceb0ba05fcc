"""A model as ONNX graphs: exported with torch, run without it."""
