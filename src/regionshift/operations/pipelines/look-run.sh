case "$RUN" in
  [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]*) echo "run has to be the id of a deployment or a migration" >&2; exit 2 ;;
esac
case "$REASON" in
  "" | *[[:cntrl:]]*) echo "reason has to be one line that says why" >&2; exit 2 ;;
esac
if [ "${#RUN}" -gt 100 ] || [ "${#REASON}" -gt 200 ]; then
  echo "run has to be at most 100 characters long, and reason 200" >&2
  exit 2
fi
