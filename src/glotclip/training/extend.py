"""Teaching a polyglot languages, task after task, so that a kill at any moment loses nothing.

Every task ends in one commit of the folder's record: until then the folder is as before the task, from then
on the task is done. The commit carries the scores as well, so a resumed run repeats neither training nor
evaluation. Whatever decides the result is hashed into the run's identity; a folder with an unfinished run of
another identity is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from glotclip import __version__
from glotclip.errors import FingerprintError, InterruptedRunError, LanguageError, TruncationWarning
from glotclip.methods.stack import PackState
from glotclip.methods.task import TrainingTask
from glotclip.packs.base_source import BaseSource
from glotclip.packs.folder import MEMORIES, RECORD, FolderRecord, PolyglotFolder, RunRecord
from glotclip.packs.language_profile import Profile
from glotclip.packs.pack import LanguagePack, read_manifest, rewrite_manifest, write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import writing_folder
from glotclip.textforms import TextForm
from glotclip.threads import held_at
from glotclip.training.captions import Captions
from glotclip.training.curriculum import Curriculum
from glotclip.training.gate import ForgettingError, Gate, Keepsake
from glotclip.training.loop import FitResult
from glotclip.training.parallel import World, wait_for_all
from glotclip.training.strategies.registry import remember, strategy_for
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.teaching import Teacher, Validate

Evaluate = Callable[[Polyglot, Sequence[str]], dict[str, Any]]  # scores by language


@dataclass
class Hooks:
    """What a run tells and asks while it goes on; every field may stay at its default."""

    log: Callable[[dict[str, Any]], None] = lambda numbers: None
    task_started: Callable[[str, TrainingTask, int], None] = lambda name, lesson, steps: None
    task_done: Callable[[str, FitResult, dict[str, Any]], None] = lambda name, result, scores: None
    evaluate: Evaluate | None = None
    validate: Validate | None = None
    stop: Callable[[], bool] = lambda: False


@dataclass
class Extension:
    """One ``extend`` run on one folder.

    Args:
        folder: where the polyglot is written.
        start: the polyglot to start from; its packs lie in ``start_folders`` by name.
        captions: training captions of every language of the curriculum.
        curriculum: what is learnt.
        start_folders: absolute pack folders of ``start``.
        hooks: what is told and asked.
        world: the processes that train together; only the first writes.
        gate: refuses lessons that make a language worse than allowed.
    """

    folder: PolyglotFolder
    start: Polyglot
    captions: Mapping[str, Captions]
    curriculum: Curriculum
    start_folders: Mapping[str, Path] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    world: World = field(default_factory=World)
    gate: Gate | None = None

    def plan(self) -> dict[str, Any]:
        """Everything that decides the run's result, as JSON."""
        curriculum = self.curriculum
        return {
            "glotclip": __version__,
            "base": self.start.base.fingerprint,
            "start": self._brought(),
            "method": curriculum.method.name,
            "tasks": [list(task) for task in curriculum.tasks],
            "settings": curriculum.settings(),
            "precision": curriculum.precision,
            "further": curriculum.continue_learning,
            "processes": self.world.size,
            "threads": torch.get_num_threads(),  # sums are split by threads, which changes their last bits
            "captions": {code: self.captions[code].identity() for code in curriculum.languages},
        }

    def run(self) -> FolderRecord:
        """Teach every task that is not done yet, and return the folder's final record.

        Raises:
            InterruptedRunError: if the folder holds another run's unfinished work.
            LanguageError: if a language is already installed.
            ForgettingError: if the gate refuses a lesson; the folder is as before it.
            KeyboardInterrupt: if ``hooks.stop`` said so; the same call goes on from there.
        """
        if not self.world.leads:
            wait_for_all(self.world)  # the leader prepares the folder
            return self._teach_all(self.folder.read())
        with self.folder.locked():
            record = self._begin()
            wait_for_all(self.world)
            return self._teach_all(record)

    def _begin(self) -> FolderRecord:
        """Open or create the folder and enter this run into its record."""
        plan = self.plan()
        identity = _identity(plan)
        exists = PolyglotFolder.is_one(self.folder.path)
        record = self.folder.read() if exists else None
        if record and record.run and record.run.identity in (identity, _as_begun(plan, record.run)):
            self.folder.sweep()
            return record
        if record and record.run and not record.run.complete:
            raise InterruptedRunError(
                f"{self.folder.path} holds an unfinished run (done: {', '.join(record.run.done) or 'no task'}) "
                "with other settings, data or languages",
                hint="repeat that run's command to finish it, or choose another --out",
            )
        self._check_new(record)
        self.folder.check(("config.json", "log.jsonl"))  # before a record names a run that cannot write its files
        scores = self._evaluate_start()
        packs = self._adopt(record)
        self.folder.open_run()
        self._keepsake.keep()
        record = FolderRecord(
            base=self._source(),
            packs=packs,
            run=RunRecord(
                identity=identity,
                plan=plan,
                start=packs,
                evaluations=scores,
                memory=record.run.memory if record and record.run else None,  # earlier runs' tasks are remembered too
            ),
        )
        self.folder.commit(record)
        self.folder.sweep()
        self.folder.workplace.write_json("config.json", plan)
        return record

    def _source(self) -> BaseSource:
        """The base, and where to find it."""
        return BaseSource.of(self.start.base, self.start.source, self.folder.path)

    def _brought(self) -> dict[str, str]:
        """Checksums of the packs that come from elsewhere; those in the folder itself change as the run goes on."""
        home = self.folder.path.resolve()
        return {
            name: self.start.packs[name].manifest.sha256
            for name, source in self.start_folders.items()
            if not source.is_relative_to(home)
        }

    def _check_new(self, record: FolderRecord | None) -> None:
        """Refuse what cannot be put together, and languages that are installed.

        The base's own languages may be learnt into a shared pack only.
        """
        if record and record.base.fingerprint != self.start.base.fingerprint:
            raise FingerprintError(
                f"{self.folder.path} was made for the base {record.base.name}, not for {self.start.base.name}",
                hint="choose another --out",
            )
        here = list(self.folder.manifests().values()) if record else []
        brought = [self.start.packs[name].manifest for name in self._brought()]
        both = {code for each in brought for code in each.languages} & {
            code for each in here for code in each.languages
        }
        if both:
            raise LanguageError(
                f"{self.folder.path} and the model to extend both have packs for {', '.join(sorted(both))}",
                hint="choose another --out, or extend the folder itself",
            )
        there = [pack.manifest for pack in self.start.packs.values()]
        installed = {code for manifest in (*here, *there) for code in manifest.learnt}
        for code in self.curriculum.languages:
            if code in installed and not self.curriculum.continue_learning:
                raise LanguageError(
                    f"{code!r} is already installed in {self.folder.path if record else 'the model to extend'}",
                    hint=f"let it go on learning (--continue), or remove it first (`glotclip pack remove DIR {code}`)",
                )
            # Others that a multilingual base knows may be taught better; all are aligned with its first.
            if code in self.start.base.languages[:1] and not self.curriculum.shared:
                raise LanguageError(
                    f"{code!r} is the base's own language",
                    hint="leave it out; only a shared table (--set isolation=shared) can be trained on it",
                )
        if len(set(self.curriculum.languages)) != len(self.curriculum.languages):
            raise LanguageError("a language is named twice", hint="name each language once")

    def _adopt(self, record: FolderRecord | None) -> dict[str, str]:
        """Bring the packs the run starts from into the folder; those that lie there already stay."""
        packs = dict(record.packs) if record else {}
        for name in self._brought():
            packs[name] = self.folder.next_folder(name, FolderRecord(base=self._source()))
            with writing_folder(self.folder.path / packs[name]) as aside:
                shutil.copytree(self.start_folders[name], aside, dirs_exist_ok=True)
        return packs

    def _evaluate_start(self) -> dict[str, Any]:
        if self.hooks.evaluate is None:
            return {}
        scores = self.hooks.evaluate(self.start, self.start.languages)
        if self.gate is not None:
            touched = self.curriculum.shared or self.curriculum.continue_learning
            self.gate.begin(self.start.languages, scores, touched=touched)
        return {"start": scores}

    def _teach_all(self, record: FolderRecord) -> FolderRecord:
        with held_at(record.run.plan.get("threads") if record.run else None):
            for task in self.curriculum.tasks:
                assert record.run is not None
                if "+".join(task) not in record.run.done:
                    record = self._teach(task, record)
        if record.run and not record.run.complete and self.world.leads:
            record = record.model_copy(update={"run": record.run.model_copy(update={"complete": True})})
            self.folder.commit(record)
            self.folder.close_run()
        return record

    def _teach(self, task: tuple[str, ...], record: FolderRecord) -> FolderRecord:
        """Train one task, write its pack, evaluate what was written, and commit."""
        assert record.run is not None
        base, curriculum, name = self.start.base, self.curriculum, "+".join(task)
        pack_name = curriculum.pack_name(task)
        before = self._open_pack(record, pack_name) if curriculum.shared or curriculum.continue_learning else None
        memory = self.folder.path / record.run.memory if record.run.memory else None
        strategy = strategy_for(curriculum.train, memory)
        lesson = curriculum.prepare(base, before.state if before else None, task, self.captions, strategy)
        stages, steps = curriculum.stages(), curriculum.steps(task, self.captions)
        self.hooks.task_started(name, lesson, sum(steps))
        teacher = Teacher(
            base,
            curriculum.precision,
            self.world,
            folder=self.folder.run_folder,
            identity=record.run.identity,
            log=self._log,
            validate=self.hooks.validate,
            stop=self.hooks.stop,
            strategy=strategy,
            text_form=self._text_form,
        )
        self._warn_of_cut(task, lesson)
        result = teacher.teach(lesson, {code: self.captions[code] for code in task}, stages, steps)
        if self.world.leads:
            record = self._remember(strategy, record)
            record, scores = self._install(task, lesson.finish(result.decay), before, record)
            teacher.forget(lesson, stages)
            self.hooks.task_done(name, result, scores)
        wait_for_all(self.world)
        return self.folder.read()

    def _text_form(self, code: str) -> TextForm:
        return self.curriculum.text_form(code, self.start.base)

    def _text_forms(self, task: Sequence[str], state: PackState, before: LanguagePack | None) -> dict[str, str]:
        """The forms of a pack's languages: those learnt before keep theirs."""
        kept = {} if before is None else {code: before.text_form(code).name for code in before.languages}
        return {code: kept[code] if code in kept and code not in task else self._text_form(code).name
                for code in state.languages}  # fmt: skip

    def _warn_of_cut(self, task: Sequence[str], lesson: TrainingTask) -> None:
        """Say how many captions, and how many texts they are aligned with, are longer than the context."""
        if not self.world.leads:
            return
        limit, name = self.start.base.tokenizer.context_length, ", ".join(task)
        own = [lesson.tokens[code] for code in task]
        target_texts = [lesson.target_tokens[code] for code in task if code in lesson.target_tokens]
        total = sum(len(tokens) for tokens in own)
        for what, cut in (
            (f"captions in {name}", sum(len(tokens.truncated) for tokens in own)),
            (
                f"texts that captions in {name} are aligned with",
                sum(self.captions[code].targets_cut for code in task) + sum(len(p.truncated) for p in target_texts),
            ),
        ):
            if cut:
                warnings.warn(TruncationWarning(cut, total, limit, what=what), stacklevel=2)

    def _remember(self, strategy: Strategy, record: FolderRecord) -> FolderRecord:
        """Write what a strategy remembers, under a new number, and name it in the record that the task commits."""
        assert record.run is not None
        memory = self.folder.next_memory(record)
        if strategy.name != Strategy.name:
            self.folder.workplace.claim_folder(MEMORIES)
        if not remember(strategy, self.folder.path / memory):
            return record
        return record.model_copy(update={"run": record.run.model_copy(update={"memory": memory})})

    def _log(self, numbers: dict[str, Any]) -> None:
        """Append a step's numbers to ``log.jsonl``; steps repeated after a kill appear twice."""
        if self.world.leads:
            self.folder.workplace.append("log.jsonl", json.dumps(numbers))
        self.hooks.log(numbers)

    def _open_pack(self, record: FolderRecord, name: str) -> LanguagePack | None:
        folder = record.packs.get(name)
        return LanguagePack.load(self.folder.path / folder, self.start.base) if folder else None

    def _install(
        self, task: tuple[str, ...], state: PackState, before: LanguagePack | None, record: FolderRecord
    ) -> tuple[FolderRecord, dict[str, Any]]:
        assert record.run is not None
        curriculum, name = self.curriculum, self.curriculum.pack_name(task)
        relative = self.folder.next_folder(name, record)
        path = self.folder.path / relative
        learnt = before.manifest.learnt if before else ()
        data = before.manifest.data if before else {}
        write_pack(
            path,
            state,
            name=name,
            method=curriculum.method.name,
            learnt=tuple(dict.fromkeys((*learnt, *task))),
            base=self.start.base,
            settings=curriculum.settings(),
            data={**data, **{code: self.captions[code].facts for code in task}},
            scores={},
            profiles=self._profiles(task, before),
            text_forms=self._text_forms(task, state, before),
        )
        packs = {**record.packs, name: relative}
        scores = self._evaluate(packs, path)
        if self.gate is not None:
            try:
                self.gate.check(task, record.run.evaluations, scores)
            except ForgettingError:
                self._refuse(path)
                raise
        evaluations = {**record.run.evaluations, "+".join(task): scores} if scores else record.run.evaluations
        run = record.run.model_copy(update={"done": (*record.run.done, "+".join(task)), "evaluations": evaluations})
        record = record.model_copy(update={"packs": packs, "run": run})
        self.folder.commit(record)
        self.folder.sweep()
        return record, scores

    def _profiles(self, task: tuple[str, ...], before: LanguagePack | None) -> dict[str, Profile]:
        """What texts of the pack's languages look like, those of the task added to what earlier ones left."""
        profiles = dict(before.profiles) if before else {}
        if self.curriculum.settings().get("text") == "to-english":
            return profiles  # what was taught are translations, which queries do not look like
        for code in task:
            learnt = Profile.learn(self.captions[code].written or self.captions[code].texts)
            profiles[code] = profiles[code].joined(learnt) if code in profiles else learnt
        return profiles

    @property
    def _keepsake(self) -> Keepsake:
        return Keepsake(self.folder.path, self.folder.run_folder / "before")

    def _refuse(self, path: Path) -> None:
        """Leave the folder as it was before the lesson whose pack lies at ``path``, as if there had been none."""
        record = self.folder.read()
        assert record.run is not None
        if record.run.done:
            # What was learnt stays, and nothing is unfinished: another command may follow.
            self.folder.commit(record.model_copy(update={"run": record.run.model_copy(update={"complete": True})}))
        elif self._keepsake.had(RECORD):
            self._keepsake.put_back(whole=False)
        else:  # the run made the folder's record; what it names goes before it does
            self.folder.commit(record.model_copy(update={"packs": {}, "run": None}))
        self.folder.sweep()
        if not record.run.done:
            self._keepsake.put_back()
        self.folder.close_run()

    def _evaluate(self, packs: Mapping[str, str], path: Path) -> dict[str, Any]:
        """Score the packs as they lie on disk, and write the new pack's scores into its manifest and card."""
        if self.hooks.evaluate is None:
            return {}
        opened = [LanguagePack.load(self.folder.path / folder, self.start.base) for folder in packs.values()]
        polyglot = Polyglot(self.start.base, opened, source=self.start.source)
        scores = self.hooks.evaluate(polyglot, polyglot.languages)
        manifest = read_manifest(path)
        own = {code: scores[code] for code in manifest.languages if code in scores}
        rewrite_manifest(path, manifest.model_copy(update={"scores": own}))
        return scores


def _identity(plan: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:32]


def _as_begun(plan: Mapping[str, Any], run: RunRecord) -> str:
    """The identity of this plan with as many threads as a run was begun with: it goes on with those."""
    return _identity({**plan, "threads": run.plan.get("threads")})
