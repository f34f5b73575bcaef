# SPDX-License-Identifier: MIT
"""Medians, ratios and means of all runs; as a table, JSON and a plot."""
import json
import math
import os
import statistics
import subprocess

ENGINES = ('native', 'weir', 'qemu')
RATIOS = ('to_native', 'qemu_to_native', 'to_qemu')
# What the project wants to reach: text, group or row, column, comparison, limit.
REACHES = [
    ('C kernels, 64 bit', 'C kernels 64', 'to_native', '<=', 2.0),
    ('C kernels, 32 bit', 'C kernels 32', 'to_native', '<=', 2.0),
    ('programs', 'programs', 'to_native', '<=', 2.8),
    ('whole table, times as fast as QEMU', 'whole table', 'to_qemu', '>=', 4.0),
    ('slowest row, times as fast as QEMU', 'worst', 'to_qemu', '>=', 1.0),
    ('system call, ns', 'syscall', 'weir', '<=', 1500),
    ('page fault, times as fast as QEMU', 'pagefault', 'to_qemu', '>=', 3.0),
    ('fork and exec, times as fast as QEMU', 'forkexec', 'to_qemu', '>=', 4.0),
    ('memcpy of 64 KiB', 'memcpy64k', 'to_native', '<=', 1.2),
    ('boot to init, times as fast as QEMU', 'boot-amd64', 'to_qemu', '>=', 1.0),
    ('cold code, ns per instruction', 'coldcode', 'weir', '<=', 250),
    ('first instruction, ns', 'first-out', 'weir', '<=', 30e6),
]


def geomean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def ratio(a, b):
    return a / b if a and b else None


class Table:
    """Samples in nanoseconds by row and engine."""

    def __init__(self):
        self.samples = {}
        self.groups = {}

    def add(self, name, group, engine, ns):
        self.groups[name] = group
        self.samples.setdefault(name, {}).setdefault(engine, []).append(ns)

    def rows(self):
        order = list(dict.fromkeys(self.groups.values()))
        for name, samples in sorted(self.samples.items(),
                                    key=lambda item: order.index(self.groups[item[0]])):
            row = {'name': name, 'group': self.groups[name]}
            for engine in ENGINES:
                values = samples.get(engine)
                row[engine] = statistics.median(values) if values else None
                row[engine + '_samples'] = values or []
            row['to_native'] = ratio(row['weir'], row['native'])
            row['qemu_to_native'] = ratio(row['qemu'], row['native'])
            row['to_qemu'] = ratio(row['qemu'], row['weir'])
            yield row


def means(rows):
    """Geometric means of the groups and of the whole table. Cold code compares with QEMU only; the
    start of the process is not the guest's speed and in no mean."""
    found = {}
    rows = [row for row in rows if row['group'] != 'start']
    for group in list(dict.fromkeys(row['group'] for row in rows)) + ['whole table']:
        of = [row for row in rows if group in (row['group'], 'whole table')]
        found[group] = {
            key: geomean(row[key] for row in of if row[key] and
                         (key == 'to_qemu' or row['group'] != 'cold code'))
            for key in RATIOS}
    return found


def reaches(rows, groups):
    """(text, value, wanted, met) of each aim that was measured."""
    named = {row['name']: row for row in rows}
    compared = [row['to_qemu'] for row in rows if row['to_qemu'] and row['group'] != 'start']
    named['worst'] = {'to_qemu': min(compared, default=None)}
    for text, name, key, comparison, limit in REACHES:
        value = (named.get(name) or groups.get(name) or {}).get(key)
        if value:
            yield text, value, f'{comparison} {limit:g}', \
                value <= limit if comparison == '<=' else value >= limit


def time_text(ns):
    if ns is None:
        return '-'
    for limit, divisor, unit in ((1e3, 1, 'ns'), (1e6, 1e3, 'us'), (1e9, 1e6, 'ms')):
        if ns < limit:
            return f'{ns / divisor:.4g} {unit}'
    return f'{ns / 1e9:.4g} s'


def ratio_text(value):
    return '-' if value is None else f'{value:.2f}x'


def table_text(rows, groups, extra):
    head = ('', 'native', 'weir', 'QEMU', 'weir/native', 'QEMU/native', 'QEMU/weir')
    form = '{:22}{:>11}{:>11}{:>11}{:>13}{:>13}{:>11}'
    lines = []
    group = None
    for row in rows:
        if row['group'] != group:
            group = row['group']
            lines += ['', form.format(group, *head[1:])]
        lines.append(form.format('  ' + row['name'], *(time_text(row[e]) for e in ENGINES),
                                 *(ratio_text(row[k]) for k in RATIOS)))
    lines += ['', form.format('geometric means', *head[1:])]
    for name, mean in groups.items():
        lines.append(form.format('  ' + name, '', '', '', *(ratio_text(mean[k]) for k in RATIOS)))
    lines += ['', 'weir alone'] + [f'  {text:42}{value:>12}' for text, value in extra]
    lines += ['', f'{"aims":42}{"measured":>12}{"wanted":>12}']
    for text, value, wanted, met in reaches(rows, groups):
        lines.append(f'  {text:40}{value:12.4g}{wanted:>12}   {"met" if met else "NOT MET"}')
    return '\n'.join(lines) + '\n'


PLOT = '''set terminal pngcairo size {width},700 font "sans,11"
set output "{png}"
set title "Time over native (less is better)"
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set logscale y
set yrange [0.5:*]
set ytics add ("1" 1, "2" 2, "5" 5, "10" 10, "20" 20, "50" 50, "100" 100)
set grid ytics
set xtics rotate by -50 scale 0
set key outside top center horizontal
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 lc rgb "#444444"
plot {columns}
'''


def plot(rows, groups, folder):
    data, png = (os.path.join(folder, name) for name in ('speed.dat', 'speed.png'))
    bars = [(row['name'], row) for row in rows if row['native'] and row['group'] != 'cold code']
    bars += [(f'"mean: {name}"', mean) for name, mean in groups.items()]
    columns = []
    for column, key, title, colour in ((2, 'to_native', 'weir', '#2060a0'),
                                       (3, 'qemu_to_native', 'QEMU TCG', '#d08030')):
        if any(row[key] for _, row in bars):
            columns.append(f'"{data}" using {column}:xtic(1) title "{title}" lc rgb "{colour}"')
    bars = [(name, row) for name, row in bars if row['to_native'] or row['qemu_to_native']]
    if not bars:
        return 'none, for lack of ratios'
    with open(data, 'w', encoding='ascii') as f:
        for name, row in bars:
            f.write(f'{name} {row["to_native"] or "NaN"} {row["qemu_to_native"] or "NaN"}\n')
    script = PLOT.format(width=300 + 30 * len(bars), png=png, columns=', '.join(columns))
    subprocess.run(['gnuplot', '-'], input=script, text=True, check=True)
    return png


def write_json(path, settings, rows, groups, extra):
    aims = [{'name': text, 'value': value, 'wanted': wanted, 'met': met}
            for text, value, wanted, met in reaches(rows, groups)]
    with open(path, 'w', encoding='utf-8') as f:
        json.dump({'settings': settings, 'rows': rows, 'geomeans': groups, 'aims': aims,
                   'weir_alone': dict(extra)}, f, indent=1)
