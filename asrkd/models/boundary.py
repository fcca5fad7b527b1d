"""The token that begins and ends a sentence for an attention decoder or a language model."""

# Entry 0 of every inventory is CTC's blank, which no text is encoded to, so decoders have it for the
# boundary: it goes in as the start of a sentence and comes out as its end.
BOUNDARY = 0
