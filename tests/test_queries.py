"""Files of queries with a fault: each is named in one sentence, and nothing of the file is used."""

import pytest

from minivlm_cot.core import InputError
from minivlm_cot.tasks.queries import check_queries, load_queries, near_duplicates, Query

ONE = Query("see this", "caption", "see", "a", "train")
HEAD = "\t".join(Query._fields)
FAULTY = {
    "": "must name the columns",
    "query\ttask\n": "must name the columns",
    f"{HEAD}\nhow many dogs\tquestions\thow\ttrain\n": "Line 2 of .* has 4 columns, not 5",
    f"{HEAD}\nsee\tthis\tcaption\tsee\ta\ttrain\n": "Line 2 of .* has 6 columns, not 5",
    f"{HEAD}\nsee\tcaption\tsee\ta\ttrain\n\nlook\tcaption\tlook\tb\ttest\n": "Line 3 of .* has 0",
    f"{HEAD}\ncaption this\tcaption\tx\ta\ttrain\nCaption this!\tcaption\ty\tb\ttest\n": "twice",
    f"{HEAD}\nspot it\tnone\tspot\ta\ttrain\nspot a dog\tnone\tspot\tb\ttest\n": "'spot' is in",
}


@pytest.mark.parametrize("text", FAULTY)
def test_a_faulty_file_is_refused(tmp_path, text):
    path = tmp_path / "mine.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=FAULTY[text]):
        load_queries(path=path)


def test_a_file_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("\n".join([HEAD, "\t".join(ONE), 'a "b\tnone\tb\tb\ttest']), encoding="utf-8")
    assert [q.query for q in load_queries(path=path)] == ["see this", 'a "b']
    assert load_queries("train", path) == [ONE]
    assert load_queries("validation", path) == []


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(task="captions"), "must be one of caption"),
        (dict(part="dev"), "must be one of train"),
        (dict(query="?!"), "no words"),
    ],
)
def test_a_wrong_value_is_named(change, message):
    check_queries([ONE])
    with pytest.raises(InputError, match=message):
        check_queries([ONE._replace(**change)])


def test_a_template_in_two_parts_is_refused():
    with pytest.raises(InputError, match="template 'a' is in test and train"):
        check_queries([ONE, ONE._replace(query="look", verb="look", part="test")])


def test_an_unknown_part_is_refused():
    with pytest.raises(InputError, match="no part 'exam'"):
        load_queries("exam")


def test_near_duplicates():
    close = [ONE._replace(query="that"), ONE._replace(query="THIS, see!")]
    (near,) = near_duplicates([ONE], close)
    assert (near.overlap, near.known.query) == (1.0, "THIS, see!")
    assert near_duplicates([ONE], [ONE._replace(query="see that")], at_least=0.5) == []
    assert near_duplicates([ONE], [ONE._replace(query="see that")])[0].overlap == 1 / 3
