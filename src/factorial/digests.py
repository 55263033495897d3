#!/usr/bin/env python3
"""Makes digests.txt: the SHA-256 of the decimal digits of n!, for a spread of n.

    pip install gmpy2 && python3 src/factorial/digests.py > src/factorial/digests.txt

n! is Python's own math.factorial up to 20,000 and GMP's beyond; both must agree up to there.
"""

import hashlib
import math
import sys

import gmpy2

sys.set_int_max_str_digits(0)

numbers = {0, 1, 2, 20, 21, 100, 5_001, 7_777, 10_000, 20_000, 123_456, 200_000, 300_000, 500_000, 654_321, 999_999, 1_000_000}
# Both sides of where the words made at compile time end, of the last checkpoint, and of powers of two.
numbers |= {299, 300, 301, 302, 39_999, 40_000, 40_001}
numbers |= {2**k + d for k in range(8, 20) for d in (-1, 0, 1)}
# Where products go from digit by digit to the transform, and where their groups go from five digits to four.
numbers |= set(range(600, 1_400, 40)) | set(range(60_000, 140_000, 8_000))

for n in sorted(numbers):
    digits = gmpy2.fac(n).digits()
    if n <= 20_000:
        assert digits == str(math.factorial(n)), n
    print(n, hashlib.sha256(digits.encode()).hexdigest())
