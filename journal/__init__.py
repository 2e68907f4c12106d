"""The journal: the only truth of a run, as bytes on disk.

A journal is a folder of segments `000001.odj`, `000002.odj`, ...; every process writes
a segment of its own, so that older ones never change again.  All numbers are
little-endian.

Segment header, 88 bytes:

    magic 8 | major u16 | minor u16 | run id 16 | segment u64 | first frame u64
    | length of the previous segment u64 | chain at its end 32 | CRC-32 u32

Frame, 52 bytes and the payload:

    marker u32 | payload length u32 | frame number u64
    | CRC-32 of the run id and the fields before u32 | payload
    | chain 32 = BLAKE2b-256(chain of the frame before, header, payload)

Before the first frame of a segment, the chain is BLAKE2b-256 of the segment's header.

The payload is a msgpack array of records, which are taken in together or not at all.
Every frame is synced before the next one is written.  So only the very last frame can
be torn, and then nothing had acted on it: it is cut off, kept in quarantine, and told.
Anything else that cannot be read had been acknowledged, and is refused.

Beside the segments lies `snapshot`, the ledger as it stood where a late segment begins:
a cache for those who ask where the run stands.  Whoever writes reads everything.
"""
