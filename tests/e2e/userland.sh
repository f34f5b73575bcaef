#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Work for Debian's programs whose output is the same wherever it is done: userland.py.
set -e
export LC_ALL=C TZ=UTC PYTHONHASHSEED=1 PERL_HASH_SEED=1
T=$(mktemp -d); cd $T
# gcc: a C project of several files
cat > a.h <<'C'
#include <stdint.h>
uint64_t mix(uint64_t); double series(int); 
C
cat > a.c <<'C'
#include "a.h"
uint64_t mix(uint64_t x){ x^=x>>33; x*=0xff51afd7ed558ccdULL; x^=x>>33; return x; }
C
cat > b.c <<'C'
#include "a.h"
#include <math.h>
double series(int n){ double s=0; for(int k=1;k<=n;k++) s+=sin(k)/k; return s; }
C
cat > m.c <<'C'
#include "a.h"
#include <stdio.h>
int main(void){ uint64_t h=1; for(int i=0;i<1000000;i++) h=mix(h+i); printf("%016llx %.15f %.15Lf\n",(unsigned long long)h,series(100000),(long double)series(1000)*3.0L); }
C
for o in -O0 -O1 -O2 -O3 -Os; do gcc $o -o p a.c b.c m.c -lm; ./p; strip p; sha256sum < p; done
gcc -O2 -S -o - b.c | sha256sum
# python
/usr/bin/python3 - <<'P'
import hashlib, json, math, random, re, zlib, decimal, fractions, collections
random.seed(7)
d = {str(i): [random.random() for _ in range(20)] for i in range(500)}
t = json.dumps(d, sort_keys=True)
print(hashlib.sha512(t.encode()).hexdigest(), zlib.crc32(zlib.compress(t.encode(), 9)), len(t))
print(sum(math.gamma(1 + i / 50) for i in range(500)), decimal.Decimal(2).sqrt(), fractions.Fraction(355, 113) ** 5)
print(collections.Counter(re.findall(r'\d\d', t)).most_common(5))
def q(a):
    return a if len(a) < 2 else q([x for x in a[1:] if x < a[0]]) + [a[0]] + q([x for x in a[1:] if x >= a[0]])
print(sum(i * x for i, x in enumerate(q([random.randrange(10**9) for _ in range(20000)]))) )
print(pow(3, 10**5, 2**521 - 1) % 10**20, len(hex(3**50000)))
P
# perl
perl -e 'my %h; srand(5); for(1..200000){ $h{($_*7919)%10007}+=$_ } my $s=0; $s=($s*31+$h{$_})%1000000007 for sort {$a<=>$b} keys %h; print "$s\n"; my $t="abc" x 5000; my $n=0; $n++ while $t=~/b(c)a/g; print "$n ", unpack("%32C*",$t), "\n"; printf "%.12f\n", atan2(1,1)*4;'
# openssl
head -c 3000000 /dev/zero | openssl enc -aes-256-ctr -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0102030405060708090a0b0c0d0e0f10 > c
for h in md5 sha1 sha256 sha512 sha3-256 blake2b512 sm3; do openssl dgst -$h c; done
openssl enc -d -aes-256-ctr -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0102030405060708090a0b0c0d0e0f10 < c | cmp - <(head -c 3000000 /dev/zero) && echo same
openssl genrsa 2048 > k 2>/dev/null; openssl dgst -sha256 -sign k -out s c; openssl rsa -in k -pubout -out pub 2>/dev/null; openssl dgst -sha256 -verify pub -signature s c
openssl ecparam -name prime256v1 -genkey -noout -out ek; openssl dgst -sha256 -sign ek -out es c; openssl ec -in ek -pubout -out ep 2>/dev/null; openssl dgst -sha256 -verify ep -signature es c
openssl prime 1000000007
# sqlite
sqlite3 t.db <<'S'
create table a(i integer primary key, x real, s text);
with recursive n(i) as (select 1 union all select i+1 from n where i<50000) insert into a select i, i*1.5, hex(i*7919) from n;
create index k on a(s);
select count(*), sum(x), max(s) from a;
update a set x=x/3 where i%7=0; delete from a where i%11=0;
select count(*), round(sum(x),6), min(s), group_concat(i) from (select * from a where s like '%3F%' order by s limit 20);
pragma integrity_check;
S
echo 'select sum(length(s)) from a;' | sqlite3 t.db
# awk, sort, gzip, xz
seq 1 200000 | awk '{s=(s*31+$1)%1000003; a[$1%97]+=$1} END{print s; for(i=0;i<97;i++) t=t" "a[i]; print t}' | sha256sum
seq 1 100000 | sort -R --random-source=<(yes) | sort -n | md5sum
seq 1 200000 | gzip -9n | tee z | md5sum; gzip -dc z | md5sum; seq 1 100000 | xz -6 | tee x | md5sum; xz -dc x | md5sum
# just-in-time compilers; the second if it is there
luajit -e 'local s=0 for i=1,3e7 do s=(s*1103515245+i)%2147483648 end print(s) local t={} for i=1,1e6 do t[i]=i*0.5 end local u=0 for i=1,#t do u=u+t[i] end print(u)'
if command -v node >/dev/null; then node -e 'let h=0;for(let i=0;i<3e7;i++){h=(Math.imul(h,31)+i)|0}console.log(h);const m=new Map();for(let i=0;i<300000;i++)m.set("k"+i%5000,(m.get("k"+i%5000)||0)+i);let s=0;for(const v of m.values())s+=v;console.log(s);function f(n){return n<2?n:f(n-1)+f(n-2)}console.log(f(27));console.log(JSON.stringify([1.1,2.2,Math.sin(3)]),/(a+)+b/.test("aaaaaaaaaaaaaaaaaab"))'; fi
cd /; rm -rf $T
