#!/usr/bin/env bash
# tools/datasets on a small folder that this test makes: no network, no other data.
#   datasets_test.sh SOURCE FILIGREE CMAKE
set -euo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive FILIGREE=$2
tool=$1/tools/datasets
filigree=$2
cmake=$3
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
from=$top/from out=$top/out

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
# expect STATUS TEXT COMMAND...: it ends with that status, and says that.
expect() {
  local status=$1 text=$2 got=0
  shift 2
  "$@" >"$top/said" 2>&1 || got=$?
  [ "$got" = "$status" ] || { cat "$top/said" && fail "status $got, expected $status: $*"; }
  grep -qF -- "$text" "$top/said" || { cat "$top/said" && fail "\"$text\" is not said: $*"; }
}
# holds FILE TEXT...: what `info` says of the dataset has each of these.
holds() {
  local file=$out/$1.safetensors text
  shift
  "$filigree" info --file "$file" >"$top/info"
  for text in "$@"; do
    tr -s ' ' <"$top/info" | grep -qF -- "$text" || { cat "$top/info" && fail "$file: no \"$text\""; }
  done
}
# put FILE: its standard input becomes FILE of the folder; \t and \n are what they say.
put() {
  mkdir -p "$(dirname "$from/$1")"
  printf '%b' "$(cat)" >"$from/$1"
  printf '\n' >>"$from/$1"
}

# A folder in the layout of the shared data, some of it packed.
pairs='a b c\td e\tneutral\nb\tc d\tentailment\nd d e\ta\tcontradiction'
put sst2/train.tsv <<<'sentence\tlabel\na b c\t1\nc d e\t0\nb b\t1'
put sst2/dev.tsv <<<'sentence\tlabel\na d\t0'
put sst2/stsa.binary.train <<<'1 a b\n0 c d\n1 e'
put sst2/stsa.binary.dev <<<'0 a c'
put cola/train.tsv <<<'xx99\t1\t\ta b c\nxx99\t0\t*\tc b a'
put cola/dev.tsv <<<'xx99\t1\t\td e'
put rte/train.tsv <<<'index\tsentence1\tsentence2\tlabel\n0\ta b\tb\tentailment\n1\tb "c\td\tnot_entailment'
put rte/dev.tsv <<<'index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment'
put qnli/train.tsv <<<'index\tquestion\tsentence\tlabel\n0\ta b\tb\tentailment\n1\tb "c\td\tnot_entailment'
put qnli/dev.tsv <<<'index\tquestion\tsentence\tlabel\n0\ta\tb\tnot_entailment'
mrpc='\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n'
put mrpc/msr_paraphrase_train.txt <<<"${mrpc}1\t11\t12\ta b\tb a\r\n0\t13\t14\t\"a\tc d\r"
put mrpc/msr_paraphrase_test.txt <<<"${mrpc}1\t15\t16\tc\tc\r"
snli='{"gold_label": "neutral", "sentence1": "a b", "sentence2": "c"}'
put snli/snli_1.0_train.jsonl <<<"$snli\n${snli/neutral/-}\n${snli/neutral/contradiction}"
put snli/snli_1.0_dev.jsonl <<<"$snli"
put snli/snli_1.0_test.jsonl <<<"$snli\n$snli"
put mnli/train_12988.tsv <<<"genre\tsentence1\tsentence2\tgold_label\n$(sed 's/^/x\\t/; s/\\n/\\nx\\t/g' <<<"$pairs")\nx\ta\tb\t-"
put mnli/dev_matched_shared.tsv <<<'genre\tsentence1\tsentence2\tgold_label\nx\ta\tb\tneutral'
put lingnli/train.jsonl <<<'{"premise": "a b", "hypothesis": "c", "label": "neutral"}\n{"premise": "b", "hypothesis": "c", "label": "entailment"}'
put lingnli/val_rounds1-4.jsonl <<<'{"premise": "a", "hypothesis": "d", "label": "contradiction"}'
sick='pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment'
put sick/SICK_train.txt <<<"$sick\n1\ta b\tc\t4.5\tNEUTRAL\n2\ta\td\t1\tCONTRADICTION"
put sick/SICK_trial.txt <<<"$sick\n3\tb\tb\t5\tENTAILMENT"
put imdb/train.tsv <<<'id\tmovie\trating\tlabel\ttext\ntrain/pos/0\ttt1\t9\t1\ta b<br /><br />c\ntrain/neg/0\ttt2\t1\t0\td e'
put imdb/dev_5000.tsv <<<'id\tmovie\trating\tlabel\ttext\ntest/pos/0\ttt3\t8\t1\tb c'
put imdb/unsup.txt <<<'a b c d\ne d c'
put movie_reviews/folds0-8.tsv <<<'id\tfold\tlabel\ttext\ncv000_1\t0\t1\ta b\ncv700_2\t7\t0\tc d\ncv800_3\t8\t1\te'
tree='# text = a b\n1\ta\ta\tDET\t_\t_\t2\tdet\t_\t_\n2\tb\tb\tNOUN\t_\t_\t0\troot\t_\t_\n'
put ud_english_ewt/en_ewt-ud-train.conllu <<<"$tree\n$tree"
put ud_english_ewt/en_ewt-ud-dev.conllu <<<"$tree"
squad='{"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b c d", "qas": [{"id": "1", "question": "e b", "answers": [{"text": "c d", "answer_start": 4}]}]}]}]}'
put squad/train-v1.1-44articles.json <<<"$squad"
put squad/dev-v1.1-43articles.json <<<"$squad"
put wikitext2/valid.txt <<<' \n = a b = \n \n c d e . a b c . \n'
for part in train-00 train-01 train-02 train-03 valid; do
  put wiki2015/$part.txt <<<'<doc id="1" title="a">\na\na b c. d e a.\n</doc>'
done
put novels/Anon_A_1864.txt <<<'a b c\nd e\n\nb c'
(cd "$from/novels" && tar -cf novels-86.tar Anon_A_1864.txt && rm Anon_A_1864.txt)
xz "$from"/{sst2/train.tsv,lingnli/train.jsonl,imdb/train.tsv,imdb/unsup.txt,novels/novels-86.tar} \
  "$from"/wiki2015/train-0?.txt
(cd "$from" && find . -type f | sort | xargs sha256sum >"$top/sums" && mv "$top/sums" SHA256SUMS)
printf 'a b c d e . < br / >\n"a" "b"\n' >"$top/words.txt"
"$filigree" tokenizer train --kind word --input "$top/words.txt" --out "$top/tok" >/dev/null

# 1. All that the folder has, and its datasets.
known='sst2 sst2_sentences cola rte qnli mrpc mnli snli lingnli sick imdb polarity ud_english_ewt squad
  wikitext2 wiki2015 novels'
[ "$("$tool" list | awk 'NR > 1 { print $1 }' | paste -sd' ')" = "$(echo $known)" ] || fail 'list'
for name in $known; do
  expect 0 "$name is in $out/$name" "$tool" get "$name" --from "$from" --out "$out"
done
expect 0 'as expected' "$tool" get cola --from "$from" --out "$top/again"
cmp "$out/cola/train.tsv" "$from/cola/train.tsv" || fail 'cola is not what was given'
[ "$(find "$out" -name '.*' ! -path "$out" | wc -l)" = 0 ] || fail 'hidden files are left'
prepared() { expect 0 'wrote ' "$tool" prepare "$1" --out "$out" --tokenizer "$top/tok"; }
for name in sst2 sst2_sentences cola rte qnli mrpc mnli snli lingnli sick polarity ud_english_ewt; do
  prepared "$name"
done
holds sst2/train 'offsets I64 (4)' 'label_names ["0","1"]'
holds sst2_sentences/train 'offsets I64 (4)' 'label_names ["0","1"]'
holds cola/train 'offsets I64 (3)' 'label_names ["0","1"]'
holds rte/train 'offsets I64 (3)' 'segments' 'label_names ["entailment","not_entailment"]'
holds rte/dev 'offsets I64 (2)' 'label_names ["entailment","not_entailment"]'
holds qnli/train 'offsets I64 (3)' 'segments' 'label_names ["entailment","not_entailment"]'
holds mrpc/train 'offsets I64 (3)' 'segments' 'label_names ["0","1"]'
holds mrpc/test 'offsets I64 (2)'
holds snli/train 'offsets I64 (3)' 'label_names ["contradiction","entailment","neutral"]'
holds snli/test 'offsets I64 (3)' 'label_names ["contradiction","entailment","neutral"]'
holds mnli/train 'offsets I64 (4)' 'segments' 'label_names ["contradiction","entailment","neutral"]'
holds mnli/dev_matched 'offsets I64 (2)' 'label_names ["contradiction","entailment","neutral"]'
holds lingnli/train 'offsets I64 (3)' 'label_names ["contradiction","entailment","neutral"]'
holds sick/relatedness.train 'task regression' 'scores F32 (2)'
holds sick/entailment.trial 'offsets I64 (2)' 'label_names ["contradiction","entailment","neutral"]'
holds polarity/train 'offsets I64 (3)'
holds polarity/dev 'offsets I64 (2)'
holds ud_english_ewt/tagging.train 'task tagging' 'heads I32' 'label_names ["DET","NOUN"]'
holds ud_english_ewt/relations.dev 'label_names ["det","root"]'
for name in imdb wikitext2 wiki2015 novels; do prepared "$name"; done
holds imdb/train 'offsets I64 (3)'
holds imdb/unsup 'task masked_lm'
holds wikitext2/valid 'task masked_lm'
holds wiki2015/train 'task masked_lm'
holds novels/train 'task masked_lm'
prepared squad
holds squad/train 'task qa' 'offsets I64 (2)'

# 2. A second run does nothing; another setting does it anew.
stamp=$(stat -c %Y.%i "$out/cola/train.safetensors")
expect 0 'cola is in '"$out/cola already" "$tool" get cola --from "$from" --out "$out"
expect 0 'train.safetensors is there already' "$tool" prepare cola --out "$out" --tokenizer "$top/tok"
[ "$(stat -c %Y.%i "$out/cola/train.safetensors")" = "$stamp" ] || fail 'cola was prepared twice'
expect 0 'wrote ' "$tool" prepare cola --out "$out" --tokenizer "$top/tok" --max-length 4
holds cola/train 'max_length 4'
expect 0 'wordpiece, 14 pieces' "$tool" prepare sst2 --out "$out" --vocabulary 14
holds sst2/train 'vocabulary 14'

# 3. Wrong use and what is missing.
expect 2 'expected a dataset among sst2 ' "$tool" get colla --from "$from" --out "$out"
expect 2 'got "fetch"' "$tool" fetch cola
expect 2 'no option --tokenizer' "$tool" get cola --tokenizer x
expect 2 'needs a value' "$tool" get cola --from
expect 2 'needs the name' "$tool" prepare
expect 1 'tools/datasets get qnli' "$tool" prepare qnli --out "$top/none"
expect 1 'cannot be downloaded' "$tool" get wiki2015 --out "$top/none"
expect 1 'there is no folder' "$tool" get cola --from "$top/nowhere" --out "$top/none"
expect 1 'there is no command' env FILIGREE="$top/nowhere" "$tool" prepare cola --out "$out"
expect 0 'question answering' "$tool" list
rm "$from/rte/dev.tsv"
expect 1 "$from/rte/dev.tsv is missing" "$tool" get rte --from "$from" --out "$top/none"
printf 'x' >>"$from/sick/SICK_trial.txt"
expect 1 'expected sha256' "$tool" get sick --from "$from" --out "$top/none"
head -c 60 "$from/imdb/train.tsv.xz" >"$top/cut" && mv "$top/cut" "$from/imdb/train.tsv.xz"
sed -i '\|imdb/train|d' "$from/SHA256SUMS"
expect 1 'cannot unpack' "$tool" get imdb --from "$from" --out "$top/none"
head -c 300000 /dev/zero | tr '\0' 'a' >"$from/wikitext2/valid.txt"
sed -i '\|wikitext2|d' "$from/SHA256SUMS"
expect 1 'cannot write' bash -c "ulimit -f 64; trap '' XFSZ; exec \"$tool\" get wikitext2 --from \"$from\" --out \"$top/none\""
[ -z "$(ls -A "$top/none")" ] || fail "something is left: $(ls -A "$top/none")"
mkdir "$top/none/rte"
expect 1 'was not made by tools/datasets' "$tool" get rte --from "$from" --out "$top/none"
printf 'x' >>"$out/cola/dev.tsv"
expect 1 'is not as it was fetched' "$tool" get cola --from "$from" --out "$out"

# 4. Downloads, from a mirror.
mirror=$top/mirror
export FILIGREE_DATASETS_MIRROR=$mirror
archive() { # archive NAME FOLDER: the folder of the mirror becomes NAME.
  case $1 in
    *.zip) (cd "$mirror" && "$cmake" -E tar c "$1" --format=zip "$2") ;;
    *) (cd "$mirror" && tar -czf "$1" "$2") ;;
  esac
}
mkdir -p "$mirror/CoLA" "$mirror/txt_sentoken/pos" "$mirror/txt_sentoken/neg" "$mirror/SST-2"
cp "$from/cola/train.tsv" "$from/cola/dev.tsv" "$mirror/CoLA"
archive CoLA.zip CoLA
expect 0 'CoLA.zip: not checked' "$tool" get cola --out "$top/net"
cmp "$top/net/cola/train.tsv" "$from/cola/train.tsv" || fail 'cola is not what the archive holds'
printf 'a b \nc\td\n' >"$mirror/txt_sentoken/pos/cv005_12.txt"
printf 'd e\n' >"$mirror/txt_sentoken/neg/cv811_7.txt"
printf 'e\n' >"$mirror/txt_sentoken/neg/cv999_1.txt"
archive review_polarity.tar.gz txt_sentoken
expect 0 'polarity is in' "$tool" get polarity --out "$top/net"
head=$'id\tfold\tlabel\ttext'
[ "$(cat "$top/net/polarity/train.tsv")" = "$head"$'\ncv005_12\t0\t1\ta b c d' ] || fail 'polarity train'
[ "$(cat "$top/net/polarity/dev.tsv")" = "$head"$'\ncv811_7\t8\t0\td e' ] || fail 'polarity dev'
[ "$(cat "$top/net/polarity/test.tsv")" = "$head"$'\ncv999_1\t9\t0\te' ] || fail 'polarity test'
printf 'pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set\r\n7\ta\tb\tNEUTRAL\t3.5\tTRIAL\r\n' \
  >"$mirror/SICK.txt"
archive SICK.zip SICK.txt
expect 0 'sick is in' "$tool" get sick --out "$top/net"
[ "$(tail -n +2 "$top/net/sick/trial.tsv")" = $'7\ta\tb\t3.5\tNEUTRAL' ] || fail 'sick trial'
archive SST-2.zip SST-2
expect 1 'expected md5 9f81648d4199384278b86e315dac217c' "$tool" get sst2 --out "$top/net"
expect 1 'cannot fetch' "$tool" get rte --out "$top/net"
archive SICK.zip CoLA
rm -r "$top/net/sick"
expect 1 'holds no SICK.txt' "$tool" get sick --out "$top/net"
[ "$(cd "$top/net" && echo .[!.]* *)" = '.[!.]* cola polarity' ] || fail "something is left: $(ls -A "$top/net")"

# 5. IMDb's archive has a checksum that no small one can have: its unpacking by itself.
mkdir -p "$mirror"/aclImdb/{train,test}/{pos,neg} "$mirror/aclImdb/train/unsup"
printf 'a b<br />\tc' >"$mirror/aclImdb/train/pos/0_9.txt"
printf 'c' >"$mirror/aclImdb/train/pos/10_7.txt"
printf 'd' >"$mirror/aclImdb/train/neg/2_1.txt"
printf 'e' >"$mirror/aclImdb/test/neg/0_3.txt"
printf 'a' >"$mirror/aclImdb/test/pos/0_8.txt"
printf 'b d' >"$mirror/aclImdb/train/unsup/1_0.txt"
for i in 0 1 2 3 4 5 6 7 8 9 10; do
  echo "http://www.imdb.com/title/tt00$i/usercomments"
done | tee "$mirror/aclImdb/train/urls_pos.txt" "$mirror/aclImdb/train/urls_neg.txt" \
  "$mirror/aclImdb/train/urls_unsup.txt" "$mirror/aclImdb/test/urls_pos.txt" \
  >"$mirror/aclImdb/test/urls_neg.txt"
archive aclImdb_v1.tar.gz aclImdb
mkdir -p "$top/imdb/work"
(
  # shellcheck disable=SC2034,SC1091,SC2317  # used by what is read in
  work=$top/imdb/work part=$top/imdb archive=$mirror/aclImdb_v1.tar.gz
  need() { :; }
  download() { :; }
  die() { fail "$@"; }
  . "$1/tools/datasets.d/sources"
  fetch_imdb
)
tail -n +2 "$top/imdb/train.tsv" >"$top/got"
printf 'train/neg/2_1\ttt002\t1\t0\td\ntrain/pos/0_9\ttt000\t9\t1\ta b<br /> c\ntrain/pos/10_7\ttt0010\t7\t1\tc\n' |
  cmp - "$top/got" || { cat "$top/got" && fail 'imdb train'; }
[ "$(cat "$top/imdb/unsup.txt")" = 'b d' ] || fail 'imdb unsup'
[ "$(wc -l <"$top/imdb/test.tsv")" = 3 ] || fail 'imdb test'
echo 'tools/datasets: all well'
