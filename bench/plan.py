# SPDX-License-Identifier: MIT
"""What is run: the rows, their groups, and how many operations each gets."""
import os
import re
import subprocess

# 32-bit code is measured where it is translated differently.
ALSO_32 = {'c': 'C kernels 32', 'kernel': 'kernel paths'}
ONLY_32 = {'kernel': ['syscall.32']}
GROUPS = {'c': 'C kernels 64', 'simd': 'SIMD, blocks', 'kernel': 'kernel paths',
          'cold': 'cold code'}
# Kinds and rows that get less work: engines that emulate vectors are up to 200 times slower there.
SHARE = {'simd': 0.2, 'matrix': 0.2, 'matrix.32': 0.2}
COLD_INSTRUCTIONS = 100000
PROGRAM_REPETITIONS = 2  # each is 0.3 s natively: neighbours come and go in less


def output(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


class Row:
    """One measured thing: which tool runs it, how often."""

    def __init__(self, tool, name, group, kind, amount=0):
        self.tool, self.name, self.group, self.kind, self.amount = tool, name, group, kind, amount
        self.count = amount

    def line(self, repetitions):
        if self.tool == 'programs':
            repetitions = PROGRAM_REPETITIONS
        return f'{self.tool} {self.count} {repetitions} {self.name}\n'


class Plan:
    def __init__(self, bench, pattern):
        self.folder = os.path.join(bench, 'guest')
        self.rows = []
        for tool in ('k64', 'k32'):
            for line in output(self.path(tool), '-l').splitlines():
                name, kind = line.split()
                if tool == 'k64':
                    self.rows.append(Row(tool, name, GROUPS[kind], kind))
                elif kind in ALSO_32 and name in ONLY_32.get(kind, [name]):
                    self.rows.append(Row(tool, name, ALSO_32[kind], kind))
        for line in output(self.path('programs'), '-l').splitlines():
            name, amount = line.split()
            self.rows.append(Row('programs', name, 'programs', 'program', int(amount)))
        self.rows = [row for row in self.rows if re.search(pattern, row.name)]

    def path(self, tool):
        return os.path.join(self.folder, tool)

    def calibrate(self, seconds, scale):
        """Finds the counts for repetitions of so many seconds natively, times scale."""
        for row in self.rows:
            if row.tool == 'programs':
                row.count = max(1, round(row.amount * scale)) if row.amount else 1
                continue
            if row.kind == 'cold':
                row.count = max(2000, round(COLD_INSTRUCTIONS * scale))
                continue
            lines = output(self.path(row.tool), '-r', '1', '-t', str(seconds), row.name).split('\n')
            counts = [int(line.split()[2]) for line in lines if line.startswith('= ')]
            if counts:
                share = SHARE.get(row.kind, SHARE.get(row.name, 1))
                row.count = max(1, round(counts[0] * scale * share))
        self.rows = [row for row in self.rows if row.count]

    def text(self, repetitions):
        return ''.join(row.line(repetitions) for row in self.rows)
