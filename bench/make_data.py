#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the data that the benchmark's programs work on: always the same.

usage: make_data.py DIRECTORY      DIRECTORY/text (4 MB of words), DIRECTORY/work.c (2,000 lines)"""
import os
import random
import sys

FUNCTION = '''
#if AMOUNT > {n}
struct record{n} {{
    int key, count;
    struct record{n} *next;
}};
static int table{n}[{size}];
static int find{n}(const struct record{n} *r, int key)
{{
    for (; r; r = r->next)
        if (r->key == key)
            return r->count {op1} {k1};
    return -{k1};
}}
unsigned work{n}(struct record{n} *r, unsigned x, const char *text)
{{
    unsigned sum = x {op2} {k2}u;
    for (int i = 0; i < {size}; i++) {{
        table{n}[i] += (int)(sum >> (i & 7)) {op1} text[i & 15];
        if (table{n}[i] % {k3} == 0)
            sum {op3}= (unsigned)find{n}(r, table{n}[i]);
    }}
    switch (sum % {k3}) {{
    case 0: return sum * {k1};
    case 1: sum += text[0]; break;
    case 2: return work{before}_hook(sum, {k2});
    default: sum ^= {k2}u << (x & 15);
    }}
    while (sum > {k2}u)
        sum = sum / {k3} + (unsigned)table{n}[sum % {size}];
    return sum;
}}
unsigned work{n}_hook(unsigned x, unsigned y) {{ return x {op2} y + {k1}; }}
#endif
'''


def make_text(path):
    """Words from a vocabulary with Zipf's frequencies, in lines."""
    r = random.Random(1)
    syllables = [a + b for a in 'bcdfghjklmnprstvwz' for b in ('a', 'e', 'i', 'o', 'u', 'an', 'er')]
    vocabulary = [''.join(r.choice(syllables) for _ in range(r.choice((1, 2, 2, 3, 4))))
                  for _ in range(8000)]
    weights = [1 / (i + 2) for i in range(len(vocabulary))]
    words = r.choices(vocabulary, weights, k=800000)
    lines = [' '.join(words[i:i + 11]) + r.choice(['.', '', ',', ' 1%d' % (i % 977)])
             for i in range(0, len(words), 11)]
    with open(path, 'w', encoding='ascii') as f:
        f.write('\n'.join(lines)[:4000000])


def make_c(path):
    r = random.Random(2)
    with open(path, 'w', encoding='ascii') as f:
        f.write('/* Generated. */\n')
        for n in range(60):
            before = max(n - 1, 0)
            f.write(f'unsigned work{before}_hook(unsigned, unsigned);\n' if n == 0 else '')
            f.write(FUNCTION.format(n=n, before=before, size=r.choice((64, 100, 256)),
                                    k1=r.randrange(3, 99), k2=r.randrange(100, 9999),
                                    k3=r.randrange(3, 11), op1=r.choice('+-^'),
                                    op2=r.choice('+^*'), op3=r.choice('+^')))


def main():
    make_text(os.path.join(sys.argv[1], 'text'))
    make_c(os.path.join(sys.argv[1], 'work.c'))


main()
