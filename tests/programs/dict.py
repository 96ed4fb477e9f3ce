"""A dict that grows to 700,000 entries, is changed, thinned out and grown again; prints what it holds."""

import hashlib


def judge(table):
    digest = hashlib.sha256()
    for key in sorted(table, key=str):
        digest.update(f"{key!r}={table[key]!r};".encode())
    return digest.hexdigest()


number = 12345
table = {}
for step in range(2_400_000):
    number = (number * 6364136223846793005 + 1442695040888963407) % 2**64
    slot = number >> 44
    key = f"key {slot}" if slot % 3 == 0 else slot if slot % 3 == 1 else (slot, "pair")
    if step % 7 == 6:
        table.pop(key, None)
    else:
        value = table.get(key, 0)
        table[key] = value + step if isinstance(value, int) else [step]
    if step % 400_000 == 399_999:
        print(step + 1, len(table), sum(value for value in table.values() if isinstance(value, int)), flush=True)
print(judge(table))
