"""How a command tells its progress to a program that reads its stderr through a pipe: one line a step."""

#: Environment variable that whoever reads sets to 1; without it, and without a terminal, no progress is written.
VARIABLE = "WORKBENCH_STEPS"
#: How such a line begins; every other line is a message.
MARK = "step: "
