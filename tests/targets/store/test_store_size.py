"""How small a store of codebook indexes is, index and all, beside the embeddings that it is of."""

import pytest

from tests.bench import scale


@pytest.mark.parametrize(("num_codebooks", "least"), [(8, 490), (16, 250)])
def test_index_stores_are_hundreds_of_times_smaller(tmp_path, num_codebooks, least):
    store = tmp_path / "codebook"
    scale.make(store, tmp_path / "cuts_train.jsonl.gz", scale.CUTS_PER_SHARD, num_codebooks)
    embeddings = scale.CUTS_PER_SHARD * scale.FRAMES * scale.EMBEDDING_BYTES
    assert embeddings / scale.size(store) > least
