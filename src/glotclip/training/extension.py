"""Extending a polyglot, task after task, so that a kill at any moment loses nothing.

Every task ends in one commit of the folder's record: until then the folder is as before the task, from then
on the task is done. The commit carries the scores as well, so a resumed run repeats neither training nor
evaluation. Whatever decides the result is hashed into the run's identity; a folder with an unfinished run of
another identity is refused.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from glotclip import __version__
from glotclip.config import digest
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.data.schema import SkippedItem
from glotclip.errors import FingerprintError, InterruptedRunError, LanguageError, TruncationWarning
from glotclip.methods.stack import PackState
from glotclip.methods.task import TrainingTask
from glotclip.packs.base_source import BaseSource
from glotclip.packs.folder import MEMORIES, RECORD, FolderRecord, PolyglotFolder, RunRecord
from glotclip.packs.glossary import Glossary
from glotclip.packs.language_profile import Profile
from glotclip.packs.pack import LanguagePack, read_manifest, rewrite_manifest, write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import writing_folder
from glotclip.textforms import TextForm
from glotclip.threads import held_at
from glotclip.training.callbacks import Callbacks
from glotclip.training.captions import Captions
from glotclip.training.curriculum import Curriculum
from glotclip.training.gate import ForgettingError, Gate, back_up, restore
from glotclip.training.parallel import World, wait_for_all
from glotclip.training.strategies.registry import remember, strategy_for
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_trainer import TaskTrainer


@dataclass
class Extension:
    """One ``extend`` run on one folder, checked and resolved: what is learnt from which captions, and what then is.

    Args:
        folder: where the polyglot is written.
        start: the polyglot to start from; packs of it that lie elsewhere are copied.
        captions: training captions of every language of the curriculum.
        curriculum: what is learnt.
        dataset: where the captions come from.
        skipped: rows and images that could not be used.
        notes: what else there is to know of the data, warnings included.
        cache: root of the feature cache.
        world: the processes that train together; only the first writes.
        callbacks: what is told and asked.
        gate: refuses tasks that make a language worse than allowed.
    """

    folder: PolyglotFolder
    start: Polyglot
    captions: Mapping[str, Captions]
    curriculum: Curriculum
    dataset: Dataset = field(default_factory=partial(open_dataset, "emoji"))
    skipped: tuple[SkippedItem, ...] = ()
    notes: tuple[str, ...] = ()
    cache: Path | None = None
    world: World = field(default_factory=World)
    callbacks: Callbacks = field(default_factory=Callbacks)
    gate: Gate | None = None

    def task_steps(self) -> dict[str, int]:
        """Optimiser steps of every task, by its name."""
        return {"+".join(task): sum(self.curriculum.steps(task, self.captions)) for task in self.curriculum.tasks}

    def facts(self) -> dict[str, Any]:
        """Everything that decides the run's result, as JSON."""
        curriculum = self.curriculum
        return {
            "glotclip": __version__,
            "base": self.start.base.fingerprint,
            "start": {name: self.start.packs[name].manifest.sha256 for name in self._brought()},
            "method": curriculum.method.name,
            "tasks": [list(task) for task in curriculum.tasks],
            "settings": curriculum.settings(),
            "precision": curriculum.precision,
            "continue_learning": curriculum.continue_learning,
            "processes": self.world.size,
            "captions": {code: self.captions[code].identity() for code in curriculum.languages},
            **({"sources": sources} if (sources := curriculum.sources()) else {}),
        }

    def run(self) -> FolderRecord:
        """Teach every task that is not done yet, and return the folder's final record.

        Raises:
            InterruptedRunError: if the folder holds another run's unfinished work.
            LanguageError: if a language is already installed.
            ForgettingError: if the gate refuses a task; the folder is as before it.
            KeyboardInterrupt: if ``callbacks.stop`` said so; the same call goes on from there.
        """
        if not self.world.leads:
            wait_for_all(self.world)  # the leader prepares the folder
            return self._train_all(self.folder.read())
        with self.folder.locked():
            record = self._begin()
            wait_for_all(self.world)
            return self._train_all(record)

    # --- before the first task ---------------------------------------

    def _begin(self) -> FolderRecord:
        """Open or create the folder and enter this run into its record."""
        facts = self.facts()
        identity = digest(facts)
        record = self.folder.read() if PolyglotFolder.is_one(self.folder.path) else None
        if record and record.run and record.run.identity == identity:
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
        back_up(self.folder.path, self._backup)
        # Sums are split by threads, which changes their last bits: a run goes on with as many as it began with.
        plan = {**facts, "threads": torch.get_num_threads()}
        memory = record.run.memory if record and record.run else None  # earlier runs' tasks are remembered too
        run = RunRecord(identity=identity, plan=plan, start=packs, evaluations=scores, memory=memory)
        record = FolderRecord(base=self._source(), packs=packs, run=run)
        self.folder.commit(record)
        self.folder.sweep()
        self.folder.workplace.write_json("config.json", plan)
        return record

    @property
    def _backup(self) -> Path:
        return self.folder.run_folder / "before"

    def _source(self) -> BaseSource:
        """The base, and where to find it."""
        return BaseSource.of(self.start.base, self.start.source, self.folder.path)

    def _brought(self) -> dict[str, Path]:
        """Folders of the packs that come from elsewhere; those in the folder itself change as the run goes on."""
        home = self.folder.path.resolve()
        folders = {name: pack.folder.resolve() for name, pack in self.start.packs.items() if pack.folder is not None}
        return {name: folder for name, folder in folders.items() if not folder.is_relative_to(home)}

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
                    hint=f"let it go on learning (--continue), or remove it (`glotclip pack remove DIR {code}`)",
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
        for name, source in self._brought().items():
            packs[name] = self.folder.next_folder(name, FolderRecord(base=self._source()))
            with writing_folder(self.folder.path / packs[name]) as aside:
                shutil.copytree(source, aside, dirs_exist_ok=True)
        return packs

    def _evaluate_start(self) -> dict[str, Any]:
        if self.callbacks.evaluate is None:
            return {}
        scores = self.callbacks.evaluate(self.start, self.start.languages)
        if self.gate is not None:
            self.gate.begin(self.start.languages, scores, touched=self.curriculum.builds_on_packs)
        return {"start": scores}

    # --- the tasks ---------------------------------------------------

    def _train_all(self, record: FolderRecord) -> FolderRecord:
        run = record.run
        assert run is not None
        with held_at(run.plan.get("threads")):
            for task in self.curriculum.tasks:
                if "+".join(task) not in run.done:
                    record = self._train(task, record, run)
                    run = record.run
                    assert run is not None
        if not run.complete and self.world.leads:
            record = _with_run(record, run, complete=True)
            self.folder.commit(record)
            self.folder.close_run()
        return record

    def _train(self, task: tuple[str, ...], record: FolderRecord, run: RunRecord) -> FolderRecord:
        """Train one task, write its pack, evaluate what was written, and commit."""
        base, curriculum, name = self.start.base, self.curriculum, "+".join(task)
        before = self._open_pack(record, task) if curriculum.builds_on_packs else None
        strategy = strategy_for(curriculum.train, self.folder.path / run.memory if run.memory else None)
        prepared = curriculum.prepare(base, before.state if before else None, task, self.captions, strategy)
        stages, steps = curriculum.stages(), curriculum.steps(task, self.captions)
        self.callbacks.task_started(name, prepared, sum(steps))
        trainer = TaskTrainer(
            base,
            curriculum.precision,
            self.world,
            folder=self.folder.run_folder,
            identity=run.identity,
            callbacks=Callbacks(log=self._log, validate=self.callbacks.validate, stop=self.callbacks.stop),
            strategy=strategy,
            text_form=self._text_form,
        )
        self._warn_of_cut(task, prepared)
        result = trainer.train(prepared, {code: self.captions[code] for code in task}, stages, steps)
        if self.world.leads:
            run = self._remember(strategy, record, run)
            scores = self._install(task, prepared.finish(result.decay), before, record, run)
            trainer.remove_checkpoints(prepared, stages)
            self.callbacks.task_done(name, result, scores)
        wait_for_all(self.world)
        return self.folder.read()

    def _open_pack(self, record: FolderRecord, task: Sequence[str]) -> LanguagePack | None:
        folder = record.packs.get(self.curriculum.pack_name(task))
        return LanguagePack.load(self.folder.path / folder, self.start.base) if folder else None

    def _text_form(self, code: str) -> TextForm:
        return self.curriculum.text_form(code, self.start.base)

    def _log(self, numbers: dict[str, Any]) -> None:
        """Append a step's numbers to ``log.jsonl``; steps repeated after a kill appear twice."""
        if self.world.leads:
            self.folder.workplace.append("log.jsonl", json.dumps(numbers))
        self.callbacks.log(numbers)

    def _warn_of_cut(self, task: Sequence[str], prepared: TrainingTask) -> None:
        """Say how many captions, and how many texts they are aligned with, are longer than the context."""
        if not self.world.leads:
            return
        name = ", ".join(task)
        context, of_targets = prepared.tokenizer.context_length, self.start.base.tokenizer.context_length
        own = [prepared.tokens[code] for code in task]
        targets = [prepared.target_tokens[code] for code in task if code in prepared.target_tokens]
        targets_cut = sum(self.captions[code].targets_cut for code in task)
        for what, limit, cut in (
            (f"captions in {name}", context, sum(len(tokens.truncated) for tokens in own)),
            (
                f"texts that captions in {name} are aligned with",
                of_targets if targets_cut else context,
                targets_cut + sum(len(tokens.truncated) for tokens in targets),
            ),
        ):
            if cut:
                warnings.warn(TruncationWarning(cut, sum(map(len, own)), limit, what=what), stacklevel=2)

    # --- after a task ------------------------------------------------

    def _remember(self, strategy: Strategy, record: FolderRecord, run: RunRecord) -> RunRecord:
        """Write what a strategy remembers, under a new number, and name it in what the task commits."""
        memory = self.folder.next_memory(record)
        if strategy.name != Strategy.name:
            self.folder.workplace.claim_folder(MEMORIES)
        return run.model_copy(update={"memory": memory}) if remember(strategy, self.folder.path / memory) else run

    def _install(
        self,
        task: tuple[str, ...],
        state: PackState,
        before: LanguagePack | None,
        record: FolderRecord,
        run: RunRecord,
    ) -> dict[str, Any]:
        """Write a task's pack, evaluate it, and commit; returns the scores."""
        name = self.curriculum.pack_name(task)
        relative = self.folder.next_folder(name, record)
        path = self.folder.path / relative
        write_pack(
            path,
            state,
            name=name,
            method=self.curriculum.method.name,
            learnt=tuple(dict.fromkeys((*(before.manifest.learnt if before else ()), *task))),
            base=self.start.base,
            settings=self.curriculum.settings(),
            data={**(before.manifest.data if before else {}), **{code: self.captions[code].facts for code in task}},
            scores={},
            profiles=self._profiles(task, before),
            glossary=self._glossary(task, before),
            text_forms=self._text_forms(task, state, before),
        )
        packs = {**record.packs, name: relative}
        scores = self._evaluate(packs, path)
        if self.gate is not None:
            try:
                self.gate.check(task, run.evaluations, scores)
            except ForgettingError:
                self._refuse()
                raise
        evaluations = {**run.evaluations, "+".join(task): scores} if scores else run.evaluations
        record = record.model_copy(update={"packs": packs})
        self.folder.commit(_with_run(record, run, done=(*run.done, "+".join(task)), evaluations=evaluations))
        self.folder.sweep()
        return scores

    def _text_forms(self, task: Sequence[str], state: PackState, before: LanguagePack | None) -> dict[str, str]:
        """The forms of a pack's languages: those learnt before keep theirs."""
        kept = {} if before is None else {code: before.text_form(code).name for code in before.languages}
        return {code: kept[code] if code in kept and code not in task else self._text_form(code).name
                for code in state.languages}  # fmt: skip

    def _profiles(self, task: tuple[str, ...], before: LanguagePack | None) -> dict[str, Profile]:
        """What texts of the pack's languages look like, those of the task added to what earlier ones left."""
        profiles = dict(before.profiles) if before else {}
        settings = self.curriculum.method_settings
        if settings.text == "to-english" or settings.learnt_texts == "english":
            return profiles  # what was taught is English, which queries do not look like
        for code in task:
            learnt = Profile.learn(self.captions[code].written or self.captions[code].texts)
            profiles[code] = profiles[code].joined(learnt) if code in profiles else learnt
        return profiles

    def _glossary(self, task: tuple[str, ...], before: LanguagePack | None) -> Glossary | None:
        """What short queries in the pack's languages mean, those of the task in the place of what they had."""
        found = before.glossary or Glossary() if before else Glossary()
        for code in task if (size := self.curriculum.method_settings.glossary) else ():
            pairs = zip(self.captions[code].texts, self.captions[code].english, strict=True)
            known = ((text, english) for text, english in pairs if english is not None and english != text)
            found = found.joined(Glossary.of(code, known, size))
        return found if len(found) else None

    def _evaluate(self, packs: Mapping[str, str], path: Path) -> dict[str, Any]:
        """Score the packs as they lie on disk, and write the new pack's scores into its manifest and card."""
        if self.callbacks.evaluate is None:
            return {}
        opened = [LanguagePack.load(self.folder.path / folder, self.start.base) for folder in packs.values()]
        polyglot = Polyglot(self.start.base, opened, source=self.start.source)
        scores = self.callbacks.evaluate(polyglot, polyglot.languages)
        manifest = read_manifest(path)
        own = {code: scores[code] for code in manifest.languages if code in scores}
        rewrite_manifest(path, manifest.model_copy(update={"scores": own}))
        return scores

    def _refuse(self) -> None:
        """Leave the folder as it was before a task whose pack is written, as if there had been none."""
        record = self.folder.read()
        assert record.run is not None
        if record.run.done:
            # What was learnt stays, and nothing is unfinished: another command may follow.
            self.folder.commit(_with_run(record, record.run, complete=True))
        elif (self._backup / RECORD).exists():
            restore(self.folder.path, self._backup, ledger=False)
        else:  # the run made the folder's record; what it names goes before it does
            self.folder.commit(record.model_copy(update={"packs": {}, "run": None}))
        self.folder.sweep()
        if not record.run.done:
            restore(self.folder.path, self._backup, ledger=True)
        self.folder.close_run()


def _with_run(record: FolderRecord, run: RunRecord, **changed: Any) -> FolderRecord:
    return record.model_copy(update={"run": run.model_copy(update=changed)})
