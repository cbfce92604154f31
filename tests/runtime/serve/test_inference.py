"""The Open Inference Protocol: the graphs as they are, as JSON and as bytes, and by Triton's own client."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.inputs import random_inputs

from adain_rt.contract import GRAPHS
from adain_rt.serve.refusals import Refusal
from adain_rt.serve.tensors import unpack

TYPES = {"uint8": "UINT8", "float32": "FP32"}


@pytest.fixture(scope="module")
def image(china) -> np.ndarray:
    return np.ascontiguousarray(china[None, 200:232, 100:148])


def test_health_and_metadata_are_the_protocols(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    server = client.get("/v2").json()
    assert (server["name"], server["extensions"]) == ("adain-rt", ["binary_tensor_data"])
    for path in ("/v2/models/encode", "/v2/models/encode/versions/1"):
        assert client.get(path).json() == {
            "name": "encode",
            "versions": ["1"],
            "platform": "adain-rt_onnxruntime",
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
            "outputs": [
                {"name": "mean", "datatype": "FP32", "shape": [-1, -1]},
                {"name": "std", "datatype": "FP32", "shape": [-1, -1]},
            ],
        }
        assert client.get(f"{path}/ready").status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/nothing", "/v2/models/encode/versions/2", "/v2/models/nothing/ready"])
def test_a_model_that_is_not_there_is_refused(path, client):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("there is no model ")


def test_tensors_go_as_json(client, direct, image):
    asked = {
        "id": "seven",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": image.shape, "data": image.tolist()}],
        "outputs": [{"name": "std"}],
    }
    answer = client.post("/v2/models/encode/infer", json=asked).json()
    (output,) = answer.pop("outputs")
    assert answer == {"id": "seven", "model_name": "encode", "model_version": "1"}
    std = direct.run_graph("encode", {"image": image})["std"]
    assert (output["name"], output["datatype"], output["shape"]) == ("std", "FP32", [1, 128])
    np.testing.assert_array_equal(np.array(output["data"], np.float32), std[0])


@pytest.mark.parametrize("graph", list(GRAPHS))
@pytest.mark.filterwarnings("ignore")  # of gevent and its friends, as they are imported
def test_tritons_client_runs_every_graph(graph, server, direct, image):
    http = pytest.importorskip("tritonclient.http")
    inputs = random_inputs(graph, image)
    with http.InferenceServerClient(f"127.0.0.1:{server.port}") as triton:
        assert triton.is_server_ready()
        assert triton.is_model_ready(graph, "1")
        asked = []
        for tensor in GRAPHS[graph].inputs:
            array = inputs[tensor.name]
            asked.append(http.InferInput(tensor.name, list(array.shape), TYPES[array.dtype.name]))
            asked[-1].set_data_from_numpy(array, binary_data=tensor.name != "strength")
        answer = triton.infer(graph, asked, request_id="seven")
        assert answer.get_response()["id"] == "seven"
        for name, expected in direct.run_graph(graph, inputs).items():
            np.testing.assert_array_equal(answer.as_numpy(name), expected)
        with pytest.raises(Exception, match=r"\[(400|422)\]"):
            triton.infer(graph, asked[1:] or [http.InferInput("nothing", [1], "FP32")])


def body(**changes: object) -> bytes:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 16, 16, 3], "data": [0] * 768, **changes}
    return json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize(
    ("data", "length", "said"),
    [
        (b"{", None, "not of the Open Inference Protocol"),
        (b"[]", None, "not of the Open Inference Protocol"),
        (b"{}", None, "inputs is missing"),
        (b"[" * 100_000, None, "not of the Open Inference Protocol"),
        (body(), "10000", "does not fit the body"),
        (body(), "-1", "does not fit the body"),
        (body() + b"more", str(len(body())), "4 bytes of the body belong to no input"),
        (body(datatype="INT64"), None, "datatype INT64 is not one of UINT8, FP32"),
        (body(shape=[-1]), None, "a shape is negative"),
        (body(shape=[10**30]), None, "not of the Open Inference Protocol"),
        (body(data=[256] * 768), None, "values that are not UINT8"),
        (body(data="text"), None, "not of the Open Inference Protocol"),
        (body(data=[[1], 2]), None, "not of the Open Inference Protocol"),
        (body(parameters={"binary_data_size": 768}), None, "fewer bytes than it says"),
    ],
)
def test_a_body_that_is_not_of_the_protocol_is_refused(data, length, said):
    with pytest.raises(Refusal, match=said) as caught:
        unpack(data, length)
    assert caught.value.status == 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ([1, 16, 12, 3], "multiples of 8"),
        ([1, 8, 8, 3], "16 at least"),
        ([0, 16, 16, 3], "empty"),
        ([1, 16, 48], "image must be uint8"),
    ],
)
def test_pictures_that_the_graphs_do_not_take_are_refused(shape, said, client):
    asked = body(shape=shape, data=[0] * int(np.prod(shape)))
    answer = client.post("/v2/models/encode/infer", content=asked)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
