"""The parts of `gate`: rules, subjects, evidence, verdicts, looks."""
