# What jq has and jaq has not, part of the expression contract: the evaluator defines it, and the runtime knows it when it
# checks a document.

def toarray: if isarray then . else [.] end;
def ascii: [.] | implode;
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def leaf_paths: paths(scalars);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);

def @csv: map(
    if isnumber or isboolean then tostring
  elif . == null then ""
  elif isstring then "\"" + gsub("\""; "\"\"") + "\""
  else error("\(type) is not valid in a csv row") end) | join(",");
def @tsv: map(
    if isnumber or isboolean then tostring
  elif . == null then ""
  elif isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
  else error("\(type) is not valid in a tsv row") end) | join("\t");

# What jaq has and does otherwise: these give what jq gives, where jaq would go on with another value.

def tonumber: if isnumber then . else
  (if isstring and . != "" and (explode | all(. == 43 or . == 45 or . == 46 or . > 47 and . < 58 or . == 69 or . == 101)) then try fromjson catch null else null end)
  | if isnumber then . else error("cannot parse as number") end end;
def join($s): reduce .[] as $x (null;
  (if . == null then "" else . + $s end) + ($x | if . == null then "" elif isnumber or isboolean then tojson else . end)) // "";
def from_entries: reduce .[] as $x ({}; . + {
  ($x | if .key == null then .k // .name // .Name // .K // .Key else .key end):
  ($x | if has("value") then .value elif has("v") then .v else .Value end) });
def delpaths($paths): reduce ($paths | sort | reverse | .[]) as $path (.;
  if $path == [] or (try getpath($path[:-1]) catch null) != null then getpath($path) |= empty else . end);
def del(f): delpaths([path(f)]);
