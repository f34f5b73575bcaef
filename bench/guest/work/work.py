# SPDX-License-Identifier: MIT
"""Dictionaries, strings, sorting, classes, generators, exceptions and arithmetic."""
import sys


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Point(self.x + other.x, self.y - other.y)


def words(text):
    for line in text.split('\n'):
        yield from line.lower().split()


def count(text):
    table = {}
    for word in words(text):
        try:
            table[word] += 1
        except KeyError:
            table[word] = 1
    return sorted(table.items(), key=lambda item: (-item[1], item[0]))[:5]


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    found = 0
    free = ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        found += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return found


def main():
    with open('/bench/text', encoding='ascii') as f:
        text = f.read(60000)
    for i in range(int(sys.argv[1])):
        p = Point(0, i)
        for j in range(3000):
            p = p + Point(j & 7, 1)
        squares = [x * x % 1009 for x in range(5000)]
        big = pow(7, 2000 + i) % (10 ** 40 + 7)
        print(count(text), queens(7), p.x, p.y, sum(squares), big)


main()
