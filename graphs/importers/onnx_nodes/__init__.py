"""ONNX nodes as ops of a graph: one rule per ONNX operator."""
