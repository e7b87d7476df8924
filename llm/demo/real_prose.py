"""Ten paragraphs that the generator did not make, with questions written by hand: how far quoting reaches.

The paragraphs are quoted from the descriptions of open-source packages, under the licences of those packages. Nothing
here is ever trained on.
"""

from __future__ import annotations

from .sample import Sample, assistant, user

# Source, question, what a right answer contains, and the paragraph.
_TEXT = """
Click | What is Click a package for? | command line interfaces
Click is a Python package for creating beautiful command line interfaces in a composable way with as little code as
necessary. It's the "Command Line Interface Creation Kit". It's highly configurable but comes with sensible defaults
out of the box.

DiskCache | What is there no need for? | C compiler
DiskCache efficiently makes gigabytes of storage space available for caching. By leveraging rock-solid database
libraries and memory-mapped files, cache performance can match and exceed industry-standard solutions. There's no
need for a C compiler or running another process.

Jinja | What do special placeholders in the template allow? | similar to Python syntax
Jinja is a fast, expressive, extensible templating engine. Special placeholders in the template allow writing code
similar to Python syntax. Then the template is passed data to render the final document.

MarkupSafe | What does this mitigate? | injection attacks
MarkupSafe implements a text object that escapes characters so it is safe to use in HTML and XML. Characters that
have special meanings are replaced so that they display as the actual characters. This mitigates injection attacks,
meaning untrusted user input can safely be displayed on a page.

mypy | Which features does the type system of mypy have? | gradual typing
Add type annotations to your Python programs, and use mypy to type check them. Mypy is essentially a Python linter
on steroids, and it can catch many programming errors by analyzing your program, without actually having to run it.
Mypy has a powerful type system with features such as type inference, gradual typing, generics and union types.

PyYAML | Which tags does PyYAML support? | standard YAML tags
PyYAML features a complete YAML 1.1 parser, Unicode support, pickle support, capable extension API, and sensible
error messages. PyYAML supports standard YAML tags and provides Python-specific tags that allow to represent an
arbitrary Python object.

SQLAlchemy | What gives application developers the full power of SQL? | Object Relational Mapper
SQLAlchemy is the Python SQL toolkit and Object Relational Mapper that gives application developers the full power
and flexibility of SQL. SQLAlchemy provides a full suite of well known enterprise-level persistence patterns,
designed for efficient and high-performing database access.

PyTorch | Which frameworks have a static view of the world? | Theano
Most frameworks such as TensorFlow, Theano, Caffe, and CNTK have a static view of the world. One has to build a
neural network and reuse the same structure again and again. Changing the way the network behaves means that one has
to start from scratch.

PyTorch | What did they write for the GPU? | custom memory allocators
The memory usage in PyTorch is extremely efficient compared to Torch or some of the alternatives. We've written
custom memory allocators for the GPU to make sure that your deep learning models are maximally memory efficient.
This enables you to train bigger deep learning models than before.

truststore | Into which version of pip has truststore been integrated? | pip 24.2
Right now truststore is a stand-alone library that can be installed globally in your application to immediately take
advantage of the benefits in Python 3.10+. Truststore has also been integrated into pip 24.2+ as the default method
for verifying HTTPS certificates (with a fallback to certifi).
"""


def _paragraph(block: str) -> tuple[str, str, str]:
    head, text = block.split("\n", 1)
    _, question, contained = head.split(" | ")
    return " ".join(text.split()), question, contained


PARAGRAPHS = tuple(map(_paragraph, _TEXT.strip().split("\n\n")))


def real_prose_samples(passages: int) -> list[Sample]:
    """Each question with its paragraph among `passages` of them, at a place that moves from question to question."""
    samples = []
    for number, (text, question, contained) in enumerate(PARAGRAPHS):
        others = [PARAGRAPHS[(number + step) % len(PARAGRAPHS)][0] for step in range(1, passages)]
        others.insert(number % passages, text)
        context = "\n\n".join(f"[{place}] {passage}" for place, passage in enumerate(others, 1))
        turns = (user(f"Context:\n{context}\n\nQuestion: {question}"), assistant(contained))
        samples.append(Sample(skill="real_prose", messages=turns, contains=(contained,)))
    return samples
