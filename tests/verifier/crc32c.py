"""CRC-32C (Castagnoli), eight bytes a step."""

_POLYNOMIAL = 0x82F63B78


def _tables():
    """Returns eight tables: the CRC of each byte followed by 0 to 7 zero bytes."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        first.append(byte)
    tables = [first]
    for _ in range(7):
        tables.append([first[crc & 0xFF] ^ crc >> 8 for crc in tables[-1]])
    return tables


_TABLES = _tables()


def crc32c(data):
    """Returns the CRC-32C of the bytes."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _TABLES
    crc = 0xFFFFFFFF
    whole = len(data) & ~7
    step = iter(data[:whole])
    for a, b, c, d, e, f, g, h in zip(step, step, step, step, step, step, step, step):
        crc = (
            t7[a ^ crc & 0xFF] ^ t6[b ^ crc >> 8 & 0xFF] ^ t5[c ^ crc >> 16 & 0xFF] ^ t4[d ^ crc >> 24]
            ^ t3[e] ^ t2[f] ^ t1[g] ^ t0[h]
        )
    for byte in data[whole:]:
        crc = t0[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
