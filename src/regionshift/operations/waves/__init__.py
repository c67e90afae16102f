"""A change in waves: where every region stands, one engine run a wave, the watch after it, and the way back."""
