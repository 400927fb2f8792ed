"""What to do about a checkpoint that cannot be had, by what stands in the way."""

from perf_tests.causes import causes

_ANY = (
    "Give a folder that holds config.json and *.safetensors, or a hub id; a gated model needs its licence "
    "accepted and HF_TOKEN set; offline, the model must be in HF_HOME"
)
_TOKEN = "set HF_TOKEN to a token that may read it, or log in with `hf auth login`"  # noqa: S105 - a sentence


def advice(error: BaseException, checkpoint: str, revision: str | None) -> str:
    """One sentence or two for an error of transformers, which wraps the hub's own."""
    from huggingface_hub import errors

    # A gated model is to the hub a kind of missing one: the narrower comes first.
    kinds = (
        (errors.GatedRepoError, _gated),
        (errors.RevisionNotFoundError, _no_revision),
        (errors.RepositoryNotFoundError, _missing),
        (errors.OfflineModeIsEnabled, _out_of_reach),
        (errors.LocalEntryNotFoundError, _out_of_reach),
        (errors.EntryNotFoundError, _no_file),
        (errors.HfHubHTTPError, _refused),
        (errors.HFValidationError, _no_id),
    )
    found = list(causes(error))
    if isinstance(error, errors.StrictDataclassError):
        return f"Correct the config.json of {checkpoint}, or take another revision of it"
    if isinstance(error, ImportError):
        return _not_importable(error, checkpoint)
    for kind, said in kinds:
        for cause in found:
            if isinstance(cause, kind):
                return said(cause, checkpoint, revision)
    if any("trust_remote_code" in str(cause) for cause in found):
        return (
            "The model comes with Python code of its own: read that, and then pass --perf-trust-remote-code "
            "to let it run"
        )
    if any("safetensors" in str(cause) for cause in found):
        return "Only safetensors are loaded, since a pickle runs code: give a revision that has them, or convert it"
    return _ANY


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _not_importable(error: ImportError, checkpoint: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Loading {checkpoint} needs the package {error.name.partition('.')[0]}: install it here"
    return f"Loading {checkpoint} needs what is named, and it is not here: install that, in the version that it asks for"


def _gated(error: BaseException, checkpoint: str, _: str | None) -> str:
    if _status(error) == 403:
        return (
            f"{checkpoint} is gated, and the account of your token has no access to it: ask for it on the "
            "model's page, with the account whose token HF_TOKEN is"
        )
    return f"{checkpoint} is gated: accept its licence on the model's page, then {_TOKEN}"


def _missing(_: BaseException, checkpoint: str, __: str | None) -> str:
    return f"The hub has no model {checkpoint}, or a private one: check the id's spelling; if it is private, {_TOKEN}"


def _no_revision(_: BaseException, checkpoint: str, revision: str | None) -> str:
    return (
        f"{checkpoint} has no branch, tag or commit {revision!r}: give one that its page lists, or leave "
        f"@{revision} out for the newest"
    )


def _out_of_reach(_: BaseException, checkpoint: str, revision: str | None) -> str:
    from huggingface_hub import constants

    version = f" --revision {revision}" if revision else ""
    fetch = f"`hf download {checkpoint}{version}`"
    if constants.HF_HUB_OFFLINE:
        return (
            f"HF_HUB_OFFLINE is set, and {checkpoint} is not in {constants.HF_HUB_CACHE}: run {fetch} where there "
            "is a network, with HF_HOME as it is here; or give its folder"
        )
    return (
        f"The hub cannot be reached, and {checkpoint} is not in {constants.HF_HUB_CACHE}: check the network and "
        f"its proxy; or run {fetch} elsewhere and give the folder"
    )


def _no_file(_: BaseException, checkpoint: str, __: str | None) -> str:
    return (
        f"{checkpoint} is no model that transformers can load: config.json and *.safetensors are needed in it"
    )


def _refused(error: BaseException, checkpoint: str, _: str | None) -> str:
    from huggingface_hub import get_token

    status = _status(error)
    if status == 401:
        # One that `hf auth login` stored is sent too.
        given = "the token that it was sent is not valid any more" if get_token() else "it was sent no token"
        return f"The hub does not know who asks for {checkpoint} (401), since {given}: {_TOKEN}"
    if status == 403:
        return f"Your token may not read {checkpoint} (403): give it the right to, or {_TOKEN}"
    if status == 429:
        return f"The hub has had too many requests from here (429): wait some minutes, or {_TOKEN}"
    return f"The hub answered {status or 'with an error'}: try again later, or give the folder of a copy"


def _no_id(_: BaseException, checkpoint: str, __: str | None) -> str:
    return f"{checkpoint!r} is neither a folder here nor a hub id, which reads owner/model"
