"""Any torchmetrics metric, by class name or as an object, with evalkit's resampling and records."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, ClassVar, Self

import numpy as np

import evalkit
from evalkit.adapters import arguments, torch_identity, torch_inputs, torch_scorers
from evalkit.adapters.per_instance import PerInstance
from evalkit.adapters.torch_probe import Abilities, probe
from evalkit.adapters.torch_states import Driven
from evalkit.errors import MetricError, UnavailableError
from evalkit.metric import Fitted, Metric, Output, Scorer
from evalkit.records.example import Example
from evalkit.table import Array, Floats, Ints, Table

READS = {"text": "text", "classification": "labels", "nominal": "labels", "regression": "numbers"}
MADE_OF = "records hold no images, sound or video"
NOT_READ = {
    "aggregation": "it compares nothing with references",
    "clustering": "it compares two clusterings, not predictions with references",
    "detection": "evalkit matches boxes itself, as pycocotools does: --metric coco_ap",
    "retrieval": "it ranks many documents per query, and a record holds one prediction",
    "wrappers": "evalkit resamples, tracks and averages by itself; give the metric inside",
    **dict.fromkeys(("audio", "image", "multimodal", "segmentation", "shape", "video"), MADE_OF),
}
MIXED_PAIRS = (
    "torchmetrics (1.9.0 still) sorts sentences by length and undoes it wrongly, so that the "
    "sentences of different examples are compared; use --metric bertscore"
)
REFUSED = {
    "BERTScore": MIXED_PAIRS,
    "InfoLM": MIXED_PAIRS,
    "FleissKappa": "it reads counts of ratings, not predictions",
}
OBJECT = f"{torch_identity.OBJECT}="
UNIT_RANGE = re.compile(  # by definition; declared plot bounds are not: kappa and WER exceed them
    "((Binary|Multiclass)?(Accuracy|F1Score|FBetaScore|Precision|Recall|Specificity|JaccardIndex"
    "|NegativePredictiveValue|HammingDistance|AUROC|AveragePrecision|ExactMatch)"
    "|(Sacre)?BLEUScore|CHRFScore|ROUGEScore|WordInfoLost|WordInfoPreserved)"
)
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Torchmetrics(Metric):
    """metric: a class, `classification.MulticlassF1Score`; arguments: `num_classes=3,…`.

    On the command line torchmetrics:classification.MulticlassF1Score:num_classes=3. Labels are
    classes by number where all of them are whole numbers below num_classes, else in sorted order;
    a label without a probability has probability 0.
    """

    metric: str
    arguments: str = ""

    reads: ClassVar[Any] = PerInstance("text, labels or numbers", lambda one: one.kind)
    outputs: ClassVar[Any] = PerInstance(
        (Output("value", (None, None)),), lambda one: (Output(_snake(one.metric), (None, None)),)
    )
    whole: ClassVar = True
    cached: ClassVar[Any] = PerInstance(True, lambda one: not one.arguments.startswith(OBJECT))
    scale_free: ClassVar = False  # a confusion matrix counts
    reference: ClassVar = "torchmetrics' documentation of the class; torchmetrics 1.9.0"

    def __post_init__(self) -> None:
        if self.arguments.startswith(OBJECT):
            return
        if not re.fullmatch(r"\w+(\.\w+)+", self.metric):
            raise MetricError(
                "torchmetrics: which metric? its module and class, then its arguments, e.g. "
                "torchmetrics:classification.MulticlassF1Score:num_classes=3"
            )
        _refuse(self.metric, self.metric.split("."))
        if self.kind is None:
            known = ", ".join(f"{domain}.*" for domain in sorted(READS))
            raise MetricError(f"torchmetrics: {self.metric} is none of {known}")
        arguments.parse(self.metric, self.arguments)

    @classmethod
    def from_text(cls, text: str) -> Self:
        path, _, given = text.partition(":")
        if given.startswith(OBJECT):
            raise MetricError(f"{path}: this metric was made in Python; pass the object again")
        return cls(path, given)

    @classmethod
    def of(cls, metric: Any) -> Self:
        """A torchmetrics object; it is copied, and what it has seen is left alone.

        MetricError where it cannot be told which records it reads: a class that derives from
        torchmetrics.Metric alone says so, evalkit_reads = "text", "labels" or "numbers".
        """
        path, given = torch_identity.names(metric)
        domains = list(torch_identity.domains(metric))
        _refuse(path, [base.__name__ for base in type(metric).__mro__])
        reads = getattr(metric, "evalkit_reads", next(map(READS.get, domains), None))
        if reads not in torch_inputs.FORMS:
            _refuse(path, domains)
            raise MetricError(
                f'{path}: which records does it read? set evalkit_reads = "text", "labels" or '
                '"numbers" in its class'
            )
        made = cls(path, given)
        made.__dict__.update(kind=reads, _driven=Driven(metric.clone().cpu()))  # both cached
        return made

    @property
    def label(self) -> str:
        return f"{self.name}:{self.metric}" + (f":{self.arguments}" if self.arguments else "")

    @cached_property
    def kind(self) -> str | None:
        """The records that it reads."""
        return READS.get(self.metric.partition(".")[0])

    @cached_property
    def _driven(self) -> Driven:
        return Driven(torch_identity.build(self.metric, self.arguments))

    @cached_property
    def _classes(self) -> int | None:
        """None where it reads no labels, or those of two classes only."""
        if self.kind != "labels" or "Binary" in type(self._driven.metric).__name__:
            return None
        count = getattr(self._driven.metric, "num_classes", None)
        if not isinstance(count, int):
            raise MetricError(f"{self.metric}: a record holds one label of several; it has none")
        return count

    @cached_property
    def _abilities(self) -> Abilities:
        _refuse(self.metric, [type(self._driven.metric).__name__])
        _refuse_downloads(self.metric, self._driven.metric)
        return probe(self.metric, self._driven, self.kind or "", self._classes)

    def fit(self, references: Iterable[Sequence[Any]]) -> Fitted:
        """The order of the labels, and the outputs."""
        references = list(references)
        able = self._abilities
        if torch_inputs.TEXTS not in able.forms and any(len(each) > 1 for each in references):
            most = max(map(len, references))
            raise MetricError(
                f"{self.metric} compares with one reference, but an example has {most}; keep one, "
                "or use a metric that takes several"
            )
        order = None
        if self.kind == "labels":
            order = torch_inputs.class_order(self.metric, references, self._classes or 2)
        scoring = {"mode": able.mode, "forms": list(able.forms), "classes": order}
        return Fitted(scoring={**scoring, "outputs": self._output_names(order)})

    def output_list(self, fitted: Fitted) -> tuple[Output, ...]:
        metric = self._driven.metric
        bounded = (metric.plot_lower_bound, metric.plot_upper_bound) == (0, 1)
        bounded = bounded and UNIT_RANGE.fullmatch(type(metric).__name__) is not None
        scale = (0, 1) if bounded else (None, None)
        higher = metric.higher_is_better is not False
        return tuple(Output(name, scale, higher) for name in fitted.scoring["outputs"])

    def signature(self, fitted: Fitted) -> str:
        versions = "|".join(f"{one}:{metadata.version(one)}" for one in ("torchmetrics", "torch"))
        order = fitted.scoring["classes"]
        classes = "" if order is None else f"|classes:{_shortened(','.join(order))}"
        return (
            f"{self.label.partition(':')[2]}|from:{fitted.scoring['mode']}{classes}|{versions}"
            f"|evalkit:{evalkit.__version__}"
        )

    def rows(self, examples: Sequence[Example], fitted: Fitted) -> Iterator[Array]:
        """By mode: (state, number) of what is not 0; (values, 1); or the inputs themselves."""
        able, classes = self._abilities, self._classes
        form = torch_inputs.form_of(self.metric, able.forms, examples)
        order = fitted.scoring["classes"]
        items = torch_inputs.items(self.metric, form, classes, order, examples)
        known: dict[bytes, Floats] = {}
        for i, example in enumerate(examples):
            if able.mode == "inputs":
                yield np.asarray(items[i])
                continue
            key = b"" if isinstance(items, list) else items[i].tobytes()
            if not key or key not in known:
                one = torch_inputs.arguments(form, classes, items[i : i + 1])
                row = self._row(one, len(able.suffixes))
                if not np.isfinite(row).all():
                    raise MetricError(f'{self.metric}: id "{example.id}" alone is not finite')
                known[key] = row
            yield known[key]

    def _row(self, seen: tuple[Any, Any], outputs: int) -> Floats:
        if self._abilities.mode == "sums":
            return torch_scorers.coded(self._driven.seen(seen))
        return np.append(self._driven.value(seen, outputs), 1.0)

    def score(self, prepared: Table, weights: Array) -> Floats:
        return self.scorer(prepared).measure(weights, errors=False)[0]

    def scorer(self, table: Table, unit_of: Ints | None = None) -> Scorer:
        outputs = len(table.header.outputs)
        match table.header.scoring["mode"]:
            case "sums":
                return torch_scorers.sums_scorer(self._driven, table, unit_of, outputs)
            case "values":
                return torch_scorers.values_scorer(table, unit_of)
        form = self._form(table)

        def compute(items: Array) -> Floats:
            seen = torch_inputs.arguments(form, self._classes, items)
            return self._driven.value(seen, outputs)

        return torch_scorers.InputsScorer(table.rows, unit_of, outputs, compute)

    def remarks(self, table: Table) -> Iterator[tuple[str, str]]:
        """What torchmetrics warns of at the value itself, and what evalkit had to assume."""
        if self._driven.metric.higher_is_better is None:
            yield "direction", "torchmetrics does not say which way is better; higher is taken"
        if table.header.scoring["mode"] == "inputs":
            yield (
                "computed-anew",
                "its states do not add up, so every resample is computed from all examples: slow",
            )
        for message in self._driven.warned(lambda: self._point(table)):
            yield "torchmetrics", message

    def _point(self, table: Table) -> Floats:
        return self.score(self.prepare(table), np.ones((1, len(table.ids)), np.uint8))

    def _form(self, table: Table) -> str:
        """Of inputs: labels are two columns, the probabilities of two classes and more are not."""
        forms: list[str] = table.header.scoring["forms"]
        if torch_inputs.PROBABILITIES in forms and table.rows.shape[1] > 2:
            return torch_inputs.PROBABILITIES
        return forms[0]

    def _output_names(self, order: list[str] | None) -> list[str]:
        """`multiclass_f1_score`, `multiclass_f1_score_cat` per class, or the keys of a mapping."""
        suffixes = self._abilities.suffixes
        if suffixes == tuple(f"_{i}" for i in range(len(order or ()))):
            suffixes = tuple(f"_{label}" for label in order or ())
        headline = _snake(self.metric)
        return [one if one and one[0] != "_" else headline + one for one in suffixes]


def _snake(path: str) -> str:
    return WORD.sub("_", path.rpartition(".")[2]).lower()


def _shortened(text: str) -> str:
    return text if len(text) < 80 else hashlib.sha256(text.encode()).hexdigest()[:8]


def _refuse(path: str, words: Sequence[str]) -> None:
    for word in words:
        if word.startswith("Multilabel"):
            raise MetricError(f"{path}: a record holds one label, not several at once")
        if reason := REFUSED.get(word) or NOT_READ.get(word):
            raise MetricError(f"{path} cannot be used: {reason}")


def _refuse_downloads(path: str, metric: Any) -> None:
    """torchmetrics fetches these at first use; evalkit fetches nothing by itself."""
    if "rougeLsum" in getattr(metric, "rouge_keys", ()):
        try:
            importlib.import_module("nltk.data").find("tokenizers/punkt_tab")
        except LookupError:
            raise UnavailableError(
                f"{path}: rougeLsum needs nltk's punkt_tab, which is not on this machine: "
                "python -m nltk.downloader punkt_tab, or rouge_keys=(rouge1,rouge2,rougeL)"
            ) from None
    if "flores" in getattr(getattr(metric, "tokenizer", None), "tokenize_fn", _snake).__name__:
        raise UnavailableError(
            f"{path}: this tokenizer fetches a model; --metric bleu:tokenize=flores200 says how to "
            "get it"
        )
