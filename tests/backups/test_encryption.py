"""What is encrypted comes back; what was touched does not."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.backups import encryption
from runbooks.backups.encryption import CHUNK, MAGIC, SALT, TAG, Encrypter, NotOurs, decrypted, key_id

KEY = "k" * 32
OTHER = "o" * 32
HEADER = len(MAGIC) + SALT


def sealed(data: bytes, key: str = KEY, step: int = 100_000) -> bytes:
    """The data encrypted, written in pieces of that size."""
    out = io.BytesIO()
    box = Encrypter(out.write, key)
    for start in range(0, len(data), step):
        box.write(data[start : start + step])
    box.close()
    return out.getvalue()


def opened(data: bytes, *keys: str) -> bytes:
    """The data decrypted."""
    return b"".join(decrypted(io.BytesIO(data), keys or (KEY,)))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 8 bytes, so that little data is many of them."""
    monkeypatch.setattr(encryption, "CHUNK", 8)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17])
def test_what_is_encrypted_comes_back(size: int) -> None:
    """Whatever its size is to the size of a chunk; and the file is not longer than said."""
    data = bytes(n % 251 for n in range(1000)) * (size // 1000 + 1)
    data = data[:size]
    file = sealed(data)

    assert opened(file) == data
    assert len(file) == HEADER + size + TAG * max(1, -(-size // CHUNK))
    assert size < 100 or data[:100] not in file


@given(st.binary(max_size=60), st.integers(1, 9), st.data())
def test_a_file_that_was_touched_is_refused(data: bytes, step: int, drawn: st.DataObject) -> None:
    """Cut off anywhere, a byte changed, something added, a chunk left out or two of them swapped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "CHUNK", 8)
        file = sealed(data, step=step)
        assert opened(file) == data
        size = 8 + TAG
        chunks = [file[start : start + size] for start in range(HEADER, len(file), size)]
        bad = [file[: drawn.draw(st.integers(0, len(file) - 1))], file + b"\0", file + chunks[-1]]
        place = drawn.draw(st.integers(0, len(file) - 1))
        bad.append(file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :])
        if len(chunks) > 1:
            bad.append(file[:HEADER] + b"".join(chunks[1:]))
            bad.append(file[:HEADER] + b"".join(chunks[:-1]))
            bad.append(file[:HEADER] + b"".join([chunks[1], chunks[0], *chunks[2:]]))
        for touched in bad:
            with pytest.raises(NotOurs):
                opened(touched)


def test_nothing_of_a_damaged_piece_comes_out(small_chunks: None) -> None:
    """Only what stood before it, which was whole."""
    file = bytearray(sealed(b"0123456789abcdefghij"))
    file[HEADER + 8 + TAG] ^= 1
    pieces = decrypted(io.BytesIO(bytes(file)), [KEY])

    assert next(pieces) == b"01234567"
    with pytest.raises(NotOurs, match="behind 1 MiB"):
        next(pieces)


def test_earlier_keys_still_open(small_chunks: None) -> None:
    """A key that was replaced is in `old_keys`; without it, it is said that no key fits."""
    file = sealed(b"of last year, in several chunks", OTHER)

    assert opened(file, KEY, OTHER) == b"of last year, in several chunks"
    with pytest.raises(NotOurs, match="none of the store's keys fits"):
        opened(file, KEY)


def test_two_files_of_the_same_data_differ() -> None:
    """Each has a salt, and so a key, of its own."""
    assert sealed(b"same") != sealed(b"same")


def test_a_keys_id_says_which_and_not_what() -> None:
    """Equal for equal keys only, and no part of the key."""
    assert key_id(KEY) == key_id(KEY) != key_id(OTHER)
    assert len(key_id(KEY)) == 12
