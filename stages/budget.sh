# Sourced by recipes: the end of a budget of time, which recipes that they call share.
#
# BUDGET    such as 150m: no row is begun that would end later, if it takes as long as the longest of its table so far
# DEADLINE  its end, in seconds since 1970; none without a budget
if [[ -n ${BUDGET-} && -z ${DEADLINE-} ]]; then
  if ! [[ $BUDGET =~ ^([0-9]+)([smh])$ ]]; then echo "BUDGET=$BUDGET: expected a time, such as 150m" >&2; exit 2; fi
  case ${BASH_REMATCH[2]} in s) unit=1 ;; m) unit=60 ;; h) unit=3600 ;; esac
  export DEADLINE=$(($(date +%s) + BASH_REMATCH[1] * unit))
fi
