"""Deployment: recognizers as ONNX files for sherpa-onnx, and sherpa-onnx as a runtime of scores."""
