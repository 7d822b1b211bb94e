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
