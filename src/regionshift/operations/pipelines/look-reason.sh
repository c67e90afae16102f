case "$REASON" in
  "" | *[[:cntrl:]]*) echo "reason has to be one line that says why" >&2; exit 2 ;;
esac
if [ "${#REASON}" -gt 200 ]; then echo "reason has to be at most 200 characters long" >&2; exit 2; fi
