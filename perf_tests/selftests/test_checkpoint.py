"""--perf-checkpoint: what is passed on to transformers, and what is refused."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import SpecError, find_precision, load_model
from perf_tests.checkpoint import RANDOM, checkpoint_source, load, model_name, random_source
from perf_tests.selftests.tiny import (
    CONFIG,
    ROOT,
    Later,
    Place,
    environment,
    read_junit,
    run,
    write_config,
)

pytestmark = pytest.mark.usefixtures("torch_installed")

torch, transformers = Later("torch"), Later("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with safetensors, whose weights are not what random_weights makes."""
    folder = tmp_path_factory.mktemp("weights") / "tiny-real"
    torch.manual_seed(11)
    config = transformers.MistralConfig(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    transformers.MistralForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_folder_is_read_as_the_model_it_holds(folder: Path) -> None:
    source = checkpoint_source(str(folder))

    assert source.spec.name == "tiny-real"
    expected = load_model(str(folder))
    assert source.spec == expected
    assert (source.checkpoint, source.revision, source.label) == (str(folder), None, str(folder))


def test_a_folder_may_have_an_at_in_its_path(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "me@work" / "Tiny@v2"
    shutil.copytree(folder, place)
    source = checkpoint_source(str(place))

    assert (source.checkpoint, source.revision, source.label) == (str(place), None, str(place))
    assert source.spec.name == model_name(str(place)) == "tiny@v2"
    load(source, find_precision("fp32"), "cpu")


def test_its_own_weights_are_loaded(folder: Path) -> None:
    from safetensors.torch import load_file

    model = load(checkpoint_source(str(folder)), find_precision("fp32"), "cpu")
    stored = load_file(folder / "model.safetensors")

    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"])
    assert not model.training
    assert model.config._attn_implementation == "sdpa"


def test_a_revision_of_a_folder_with_an_at_is_the_last_part(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "me@work"
    shutil.copytree(folder, place)
    source = checkpoint_source(f"{place}@main")

    assert (source.checkpoint, source.revision) == (str(place), "main")


@pytest.mark.parametrize(
    ("field", "value"), [("hidden_act", "sillu"), ("rope_parameters", {"rope_type": "liner", "factor": 2.0})]
)
def test_a_name_that_transformers_does_not_know_is_named(tmp_path: Path, field: str, value: Any) -> None:
    config = write_config(tmp_path / "odd", **{field: value})

    with pytest.raises(SpecError, match=r"^odd: transformers: .*(sillu|liner).* Correct its config\.json$"):
        load(random_source(str(config)), find_precision("fp32"), "cpu")


def test_random_weights_are_called_so(tmp_path: Path) -> None:
    source = random_source(str(write_config(tmp_path / "shapes")))

    assert (source.label, source.checkpoint, source.spec.name) == (RANDOM, None, "shapes")


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def pickle_only(folder: Path) -> None:
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def other_architecture(folder: Path) -> None:
    write_config(folder, model_type="bert", architectures=["BertForMaskedLM"])


def unknown_architecture(folder: Path) -> None:
    write_config(folder, model_type="perceptron")


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")


def field_of_another_type(folder: Path) -> None:
    write_config(folder, num_hidden_layers="two")


def missing(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (missing, "there is no such folder"),
        (without_config, "the folder holds no config.json"),
        (pickle_only, r"the folder holds no \*.safetensors"),
        (other_architecture, "'bert' is not supported; supported: deepseek_v2, falcon, .*, mistral"),
        (unknown_architecture, "perceptron"),
        (broken_config, "config.json"),
        (
            field_of_another_type,
            "field 'num_hidden_layers': TypeError: .* got str .*'two'.* Correct the config.json",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    folder: Path, tmp_path: Path, damage: Any, said: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    checkpoint_source(str(copy))
    damage(copy)

    with pytest.raises(SpecError, match=said) as refused:
        checkpoint_source(str(copy))
    assert str(copy) in str(refused.value)


def test_a_field_that_only_transformers_reads_is_refused_too(folder: Path, tmp_path: Path) -> None:
    """Of random weights the config is made when they are; of others it is read again."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    read = checkpoint_source(str(copy))
    made = random_source(str(write_config(copy, rms_norm_eps="small")))
    said = r"copy: Validation error for field 'rms_norm_eps': TypeError: .*'small'.* Correct (its|the) config"

    for source in (made, read):
        with pytest.raises(SpecError, match=said):
            load(source, find_precision("fp32"), "cpu")


def test_a_pickle_on_the_hub_is_refused_where_it_is_loaded(folder: Path, tmp_path: Path) -> None:
    """A hub id's files are seen only when they are loaded."""
    source = checkpoint_source(str(folder))
    shutil.copy(folder / "config.json", tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    changed = type(source)(spec=source.spec, config=source.config, checkpoint=str(tmp_path))

    with pytest.raises(
        SpecError, match=r"model\.safetensors.* Only safetensors are loaded, since a pickle runs"
    ):
        load(changed, find_precision("fp32"), "cpu")


class Hub:
    """Captures what transformers would be asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, tuple[str, dict[str, Any]]] = {}
        for name, answer in (
            ("AutoConfig", SimpleNamespace(to_dict=lambda: dict(CONFIG))),
            ("AutoModelForCausalLM", SimpleNamespace(eval=lambda: None)),
        ):
            monkeypatch.setattr(getattr(transformers, name), "from_pretrained", self._keeper(name, answer))

    def _keeper(self, name: str, answer: Any) -> Any:
        def from_pretrained(model: str, **settings: Any) -> Any:
            self.asked[name] = (model, settings)
            return answer

        return from_pretrained


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


def test_the_revision_is_passed_on(hub: Hub) -> None:
    source = checkpoint_source("someone/Their-Model@3f1c9d")
    load(source, find_precision("fp16"), "cuda:0")

    assert source.spec.name == "their-model"
    assert source.label == "someone/Their-Model@3f1c9d"
    assert hub.asked["AutoConfig"] == (
        "someone/Their-Model",
        {"revision": "3f1c9d", "trust_remote_code": False},
    )
    name, settings = hub.asked["AutoModelForCausalLM"]
    assert name == "someone/Their-Model"
    assert settings == {
        "revision": "3f1c9d",
        "dtype": torch.float16,
        "device_map": {"": "cuda:0"},
        "quantization_config": None,
        "attn_implementation": "sdpa",
        "use_safetensors": True,
        "trust_remote_code": False,
    }


def test_without_a_revision_none_is_asked_for(hub: Hub) -> None:
    load(checkpoint_source("someone/model"), find_precision("fp32"), "cpu")

    assert hub.asked["AutoConfig"][1]["revision"] is None
    assert hub.asked["AutoModelForCausalLM"][1]["revision"] is None
    assert hub.asked["AutoModelForCausalLM"][1]["dtype"] == torch.float32


@pytest.mark.parametrize(("name", "double"), [("nf4", False), ("nf4-dq", True)])
def test_4_bit_asks_for_nf4_and_products_in_fp16(hub: Hub, name: str, double: bool) -> None:  # noqa: FBT001 - a parameter
    pytest.importorskip("bitsandbytes")
    load(checkpoint_source("someone/model"), find_precision(name), "cuda:0")

    settings = hub.asked["AutoModelForCausalLM"][1]
    asked = settings["quantization_config"]
    assert (asked.load_in_4bit, asked.load_in_8bit) == (True, False)
    assert asked.bnb_4bit_quant_type == "nf4"
    assert asked.bnb_4bit_compute_dtype == torch.float16
    assert asked.bnb_4bit_use_double_quant is double
    assert settings["dtype"] == torch.float16


def test_8_bit_asks_for_8_bit(hub: Hub) -> None:
    pytest.importorskip("bitsandbytes")
    load(checkpoint_source("someone/model"), find_precision("int8"), "cuda:0")

    asked = hub.asked["AutoModelForCausalLM"][1]["quantization_config"]
    assert (asked.load_in_4bit, asked.load_in_8bit) == (False, True)


def hub_error(kind: str, status: int) -> Exception:
    """The hub's own error of that name, as it raises it for that answer."""
    import huggingface_hub.errors

    answer = SimpleNamespace(status_code=status, headers={}, request=None)
    return getattr(huggingface_hub.errors, kind)(f"{status} Client Error.", response=answer)


def local_error(kind: str) -> Exception:
    import huggingface_hub.errors

    return getattr(huggingface_hub.errors, kind)("not on this disk")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the hub's client raise an error wherever transformers asks it for a file;
    the rest of transformers, which wraps it, runs as it is."""
    import transformers.utils.hub

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("hf_hub_download", "snapshot_download", "resolve_revision"):
        if hasattr(transformers.utils.hub, name):

            def refuse(*_: Any, **__: Any) -> None:
                raise refuse_with[0]

            monkeypatch.setattr(transformers.utils.hub, name, refuse)
    refuse_with: list[Exception] = []
    return refuse_with


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            lambda: hub_error("GatedRepoError", 401),
            "is gated: accept its licence on the model's page, then set HF_TOKEN",
        ),
        (
            lambda: hub_error("GatedRepoError", 403),
            "the account of your token has no access to it: ask for it",
        ),
        (
            lambda: hub_error("RepositoryNotFoundError", 401),
            "no model someone/theirs, or a private one: check the id's",
        ),
        (
            lambda: hub_error("RevisionNotFoundError", 404),
            "has no branch, tag or commit 'v9': give one that its page",
        ),
        (
            lambda: local_error("LocalEntryNotFoundError"),
            "The hub cannot be reached, and someone/theirs is not in /",
        ),
        (lambda: hub_error("RemoteEntryNotFoundError", 404), "config.json"),
        (
            lambda: hub_error("HfHubHTTPError", 401),
            "The hub does not know who asks for someone/theirs (401), since ",
        ),
        (
            lambda: hub_error("HfHubHTTPError", 403),
            "Your token may not read someone/theirs (403): give it the right",
        ),
        (lambda: hub_error("HfHubHTTPError", 429), "too many requests from here (429): wait some minutes"),
        (
            lambda: hub_error("HfHubHTTPError", 503),
            "The hub answered 503: try again later, or give the folder of a copy",
        ),
        (lambda: OSError("something else"), "offline, the model must be in HF_HOME"),
    ],
    ids=[
        "gated",
        "not granted",
        "missing",
        "revision",
        "unreachable",
        "entry",
        "401",
        "403",
        "429",
        "503",
        "other",
    ],
)
def test_what_the_hub_refuses_says_what_to_do(refusing: list[Exception], error: Any, said: str) -> None:
    refusing.append(error())

    with pytest.raises(SpecError) as refused:
        checkpoint_source("someone/theirs@v9")
    assert str(refused.value).startswith("--perf-checkpoint someone/theirs@v9: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stored", [True, False])
def test_a_token_that_was_stored_counts_as_one(
    refusing: list[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored: bool,  # noqa: FBT001 - a parameter
) -> None:
    """As `hf auth login` stores it: HF_TOKEN is not the only place for one."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    if stored:
        (tmp_path / "token").write_text("hf_stale", encoding="utf-8")
    refusing.append(hub_error("HfHubHTTPError", 401))

    said = "the token that it was sent is not valid any more" if stored else "it was sent no token"
    with pytest.raises(SpecError, match=rf"\(401\), since {said}: set HF_TOKEN"):
        checkpoint_source("someone/theirs")


def test_weights_that_are_refused_are_too(folder: Path, refusing: list[Exception]) -> None:
    """The config may be in the cache where the weights are not."""
    refusing.append(hub_error("GatedRepoError", 403))
    read = checkpoint_source(str(folder))
    source = type(read)(spec=read.spec, config=read.config, checkpoint="someone/theirs")

    with pytest.raises(SpecError, match=r"--perf-checkpoint someone/theirs: .* has no access to it"):
        load(source, find_precision("fp32"), "cpu")


def test_offline_a_model_that_is_not_there_says_how_to_fetch_it(tmp_path: Path) -> None:
    """For real: transformers and the hub's client in a process that is offline."""
    code = "from perf_tests.checkpoint import checkpoint_source; checkpoint_source('someone/theirs@v9')"
    done = run(sys.executable, "-c", code, cwd=ROOT, env=environment(HF_HOME=str(tmp_path)))
    last = done.out.strip().splitlines()[-1]

    assert done.rc == 1
    assert "SpecError: --perf-checkpoint someone/theirs@v9: " in last
    assert f"HF_HUB_OFFLINE is set, and someone/theirs is not in {tmp_path}/hub: run" in last
    assert "`hf download someone/theirs --revision v9` where there is a network" in last


OWN_CODE = """
from pathlib import Path

from transformers import MistralConfig, MistralForCausalLM

Path(r"{marker}").touch()


class OwnConfig(MistralConfig):
    pass


class OwnModel(MistralForCausalLM):
    config_class = OwnConfig
"""


def write_own_code(own: Path, *, config: str, model: str | None = None) -> None:
    """A checkpoint's own code: of its config, and of its model where that is apart."""
    stored = json.loads((own / "config.json").read_text(encoding="utf-8"))
    file = "own_code" if model is None else "own_model"
    named = {"AutoConfig": "own_code.OwnConfig", "AutoModelForCausalLM": f"{file}.OwnModel"}
    changed = stored | {"model_type": "own-mistral", "auto_map": named}
    (own / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    (own / "own_code.py").write_text(config, encoding="utf-8")
    if model is not None:
        (own / "own_model.py").write_text(model, encoding="utf-8")


@pytest.fixture
def own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint to give code of its own, which is copied to no folder but the test's."""
    import transformers.dynamic_module_utils

    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    return Path(shutil.copytree(folder, tmp_path / "own"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import nowhere", r"packages .* nowhere\. .* install that"),
        (
            "exec('import nowhere.deep')",
            "No module named 'nowhere'. .* needs the package nowhere: install it",
        ),
        ("from transformers import Nothing", "cannot import name 'Nothing' .* needs what is named"),
        ("raise OSError", "OSError without a word. Give a folder"),
    ],
)
@pytest.mark.parametrize("part", ["config", "model"])
def test_code_that_cannot_be_imported_here_says_what_it_lacks(
    own: Path, part: str, line: str, said: str
) -> None:
    code = OWN_CODE.format(marker=own / "ran")
    if part == "config":
        write_own_code(own, config=f"{line}\n{code}")
        with pytest.raises(SpecError, match=said) as refused:
            checkpoint_source(str(own), trust_remote_code=True)
    else:
        write_own_code(own, config=code, model=f"{line}\n{code}")
        source = checkpoint_source(str(own), trust_remote_code=True)
        with pytest.raises(SpecError, match=said) as refused:
            load(source, find_precision("fp32"), "cpu")
    assert str(refused.value).startswith(f"--perf-checkpoint {own}: ")
    assert "\n" not in str(refused.value)


def test_code_that_comes_with_a_model_runs_only_where_it_is_asked_for(own: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    write_own_code(own, config=OWN_CODE.format(marker=marker))

    with pytest.raises(SpecError, match=r"custom code.* read that, and then pass --perf-trust-remote-code"):
        checkpoint_source(str(own))
    assert not marker.exists()
    source = checkpoint_source(str(own), trust_remote_code=True)
    assert marker.exists()
    assert (source.trust_remote_code, source.label) == (True, str(own))
    assert type(load(source, find_precision("fp32"), "cpu")).__name__ == "OwnModel"
    with pytest.raises(SpecError, match="--perf-trust-remote-code"):
        load(replace(source, trust_remote_code=False), find_precision("fp32"), "cpu")


def test_the_command_refuses_and_measures_nothing(place: Place) -> None:
    """The real command, with a folder that lacks its weights: no fallback to random ones."""
    folder = write_config(place.home / "no-weights")
    done = place.pytest(
        *("-m", "cpu", "-k", "c128", "perf_tests/test_decode.py", "perf_tests/test_verdict.py"),
        *("--perf-checkpoint", folder, "--perf-out", place.home / "out", f"--junitxml={place.home}/j.xml"),
    )

    assert done.rc == 1
    said = f"--perf-checkpoint {folder}: the folder holds no *.safetensors"
    assert said in done.out
    assert "Traceback" not in done.out
    assert "fixtures.py" not in done.out
    assert not (place.home / "out").exists()
    measured = [
        m for n, m in read_junit(place.home / "j.xml").messages.items() if n.startswith("test_decode")
    ]
    assert len(measured) == 2
    assert all(said in message for message in measured)
