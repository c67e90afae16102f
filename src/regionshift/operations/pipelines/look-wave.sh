case "$WAVE" in
  "" | [1-9] | [12][0-9] | 30) ;;
  *) echo "wave has to be a number from 1 to 30" >&2; exit 2 ;;
esac
case "${RUN:+run} ${WAVE:+wave}" in
  " " | "run wave") ;;
  *) echo "run and wave go together: they name the one wave that is approved" >&2; exit 2 ;;
esac
