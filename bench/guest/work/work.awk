# SPDX-License-Identifier: MIT
# Word counts, field arithmetic, substitution.
{
    for (i = 1; i <= NF; i++)
        count[$i]++
    gsub(/[aeiou]+/, "*")
    total += length($0) * NF % 7
    if ($0 ~ /\*[bcd]\*/)
        matched++
}
END {
    for (word in count)
        if (count[word] > most || (count[word] == most && word < best)) {
            most = count[word]
            best = word
        }
    print NR, total, matched, best, most
}
