"""Sound loops that declare a processor, or decode two texts side by side."""

import torch

import specprof
from recorded_loops.plain import BURSTS, NEW_TOKENS, PlainLoop
from recorded_loops.processors import GrammarMask, PresencePenalty


class DeclaredPenalty(PresencePenalty):
    """Says what its processor does, as a function of the ids and a row."""

    def settings(self):
        return super().settings() | {"processor": self.penalise}

    def penalise(self, ids, row):
        return self.process(row, ids)


class DeclaredMixing(DeclaredPenalty):
    """Its processor is like no known one: neighbouring ids are averaged."""

    def process(self, row, text):
        return (row + row.roll(1) + row.roll(len(text) % 5)) / 3


class DeclaredMixingOfBoth(DeclaredMixing):
    """So are the draft's rows."""

    def settings(self):
        return super().settings() | {"draft_processor": self.penalise}

    def process_draft(self, row, text):
        return self.process(row.clone(), text)

    def report(self, now, drafts, rows, decided, laws):
        texts = [self.text + drafts.tokens[:place] for place in range(len(drafts.tokens))]
        pairs = zip(drafts.rows, texts, strict=True)
        own = [self.process_draft(row, text) for row, text in pairs]
        now.drafted(drafts.tokens, draft_logits=torch.stack(own), target_logits=decided)


class DeclaredMask(GrammarMask):
    """A mask, as a function."""

    def settings(self):
        return super().settings() | {"processor": lambda ids, row: self.process(row, ids)}


class DeclaredMixingRawRows(DeclaredMixing):
    """Decides by processed rows and records raw ones: its recording is wrong, and it is not."""

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, draft_logits=drafts.rows, target_logits=rows)


class TwoRequests(PlainLoop):
    """Two requests take turns, each with its own text and caches."""

    @torch.inference_mode()
    def play(self, path, bursts=BURSTS, new=NEW_TOKENS):
        with specprof.record(path, **self.settings()) as log:
            for number in range(0, bursts, 2):
                self.play_pair(log, number, new)

    def play_pair(self, log, number, new):
        """Play two bursts side by side, until both have their tokens."""
        states = [self.open(number), self.open(number + 1)]
        first, second = (list(each["text"]) for each in states)
        with (
            log.burst(first, request="first") as one,
            log.burst(second, request="second") as other,
        ):
            pairs = [(one, states[0]), (other, states[1])]
            while any(not self.resume(state).ended(new) for _, state in pairs):
                for burst, state in pairs:
                    if self.resume(state).ended(new):
                        continue
                    with burst.round() as now:
                        self.round(now)
                    self.rounds += 1
                    self.save(state)

    def open(self, number):
        """Return the state of a request that begins."""
        self.begin(self.prompt(number))
        return self.save({})

    def save(self, state):
        """Keep what belongs to the request that was played."""
        state |= {name: getattr(self, name) for name in ("text", "start", "target", "draft")}
        return state

    def resume(self, state):
        """Go on with a request; return the loop."""
        for name, value in state.items():
            setattr(self, name, value)
        return self
