case "$RUN" in
  [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]*) echo "run has to be the id of a deployment or a migration" >&2; exit 2 ;;
esac
if [ "${#RUN}" -gt 100 ]; then echo "run has to be at most 100 characters long" >&2; exit 2; fi
