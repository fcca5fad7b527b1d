"""What a recogniser costs where it is used: multiply-adds, time and memory."""
