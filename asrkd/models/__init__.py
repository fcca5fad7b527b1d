"""Recognizers (encoder, CTC head, attention decoder), language models, and their model folders."""
