"""Whole loops of generation in one operator, as onnxruntime's tools write them."""

import tempfile

import harness
import numpy as np
import ort
import test_microsoft_generation as generation


# A T5 with BeamSearch has no importer elsewhere.
# NVIDIA/TensorRT#3408
def test_beam_search_of_t5():
    encoder, decoder = generation.pair(started=True)
    attrs = {"encoder": encoder, "decoder": decoder, "model_type": 1}
    attrs["decoder_start_token_id"] = 0
    inputs = generation.beams(2, max_length=np.array([6], np.int32))
    generation.check("BeamSearch", inputs, attrs, x64=(False,))


# No public report: convert_generation.py makes graph inputs of the sizes; an option
# fixes them, and the rest of the inputs stay.
def test_inputs_of_the_converter(monkeypatch):
    sizes = {k: v for k, v in generation.SIZES.items() if k in generation.FIXED}
    inputs = {"input_ids": generation.IDS, **generation.SIZES}
    expected = ort.run(
        generation.make("BeamSearch", inputs, {}),
        {k: v for k, v in inputs.items() if k not in sizes},
    )
    monkeypatch.setattr(generation, "FIXED", set())
    model = generation.make("BeamSearch", inputs, {})
    options = [f"--input-value={k}={v[0]}" for k, v in sizes.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = harness.compile_model(model, folder, *options)
        module = harness.load_module(path)
        rest = [v for k, v in inputs.items() if k not in sizes]
        actual = module.forward(module.load_params(), *rest)
    np.testing.assert_array_equal(actual, expected[0])
