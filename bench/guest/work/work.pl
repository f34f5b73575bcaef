# SPDX-License-Identifier: MIT
# Regular expressions, hashes, sorting, string building.
use strict;
open(my $f, '<', '/bench/text') or die;
read($f, my $text, 60000);
for my $round (1 .. $ARGV[0]) {
    my (%count, @found);
    $count{lc $1}++ while $text =~ /\b([a-z]\w+)\b/gi;
    my @top = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 4];
    (my $changed = $text) =~ s/(\w)(\w*?)([aeiou])/$3$2$1/g;
    push @found, length $1 while $changed =~ /([aeiou]{2,}[^aeiou\s]+)/g;
    my $sum = 0;
    $sum = ($sum * 31 + $_) % 1000003 for @found, map { ord } split //, substr($changed, $round, 20000);
    my $joined = join ',', map { sprintf '%s=%d', $_, $count{$_} } @top;
    print "$round $joined $sum ", scalar(@found), "\n";
}
