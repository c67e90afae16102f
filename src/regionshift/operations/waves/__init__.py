"""A change in waves: the state of every region, one engine run a wave, the bake after it, and the way back."""
