"""What a recognizer costs where it is used: multiply-adds, time and memory."""
