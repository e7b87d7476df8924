"""Statements of the generator's own making, with the questions that they answer.

`FACTS` tell an attribute of something that has a name; `FINDINGS` are what a report states once.
"""

from __future__ import annotations

from .blocks import blocks, divided

FACTS = blocks("""
What is the {a} {n} of {p}? | Which {a} {n} does {p} have? | Tell me the {a} {n} of {p}. | How much is the {a} {n}
of {p}?
= The {a} {n} of {p} is {v}.

What is the {n} for {p}? | Which {n} is for {p}? | What {n} does {p} have?
= The {n} for {p} is {v}.

What is the {n} of {p}? | What {n} does {p} have? | How large is the {n} of {p}?
= {p} has a {n} of {v}.

When was the {n} in {p} opened? | On which day was the {n} in {p} opened?
= The {n} in {p} was opened on {d}.

When must the {n} be paid? | By when must the {n} be paid? | What is the last day to pay the {n}?
= The {n} must be paid by {d}.

Who is responsible for the {a} {n}? | Who takes care of the {a} {n}?
= {p} is responsible for the {a} {n}.

Where did {p} move the {n}? | Who moved the {n} from {p2}? | From where was the {n} moved to {p3}?
= {p} moved the {n} from {p2} to {p3}.

By how much did the {n} of {p} grow in {y}? | How did the {n} of {p} change in {y}?
= In {y}, the {n} of {p} grew by {i} percent.

What happened to the {n} of {p} in {y}? | To what did the {n} of {p} fall?
= In {y}, the {n} of {p} fell to {i}.

How much does a {n} in {p} cost? | What does each {n} in {p} cost? | What is the price of a {n} in {p}?
= Each {n} in {p} costs {i} {w}.

What is the {n} code of {p}? | Which code does {p} have for the {n}?
= The {n} code of {p} is {c}.

When does the contract with {p} end? | On which day does the contract with {p} end?
= The contract with {p} ends on {d}.

How long is a {n} kept? | For how many days is every {n} kept?
= Every {n} is kept for {i} days.

How many people does the {a} {n} need? | How long does the {a} {n} take?
= The {a} {n} needs {i} people and {j} weeks.
""")

FINDINGS = blocks("""
What are the key findings? | What is the key finding? | Which findings are there? | What did they find?
= A key finding is that the {n} of {p} {x}.

Summarize the recommendations | What are the recommendations? | What do they recommend? | What is recommended?
= We recommend to {r} the {a} {n}.

What is the conclusion? | What do they conclude? | Summarize the conclusion
= The conclusion is that the {a} {n} {x}.

What is the main risk? | What are the risks? | Which risk do they name?
= The main risk is the {a} {n} in {p}.

What are the terms? | What do the terms say? | Summarize the terms
= Under the terms, {p} must {r} the {n}.

What patterns do you see across our quarterly reports? | What happens each quarter? | What is the pattern?
= Each quarter, the {n} {x}.
""")

CHANGES = divided("""
grew by half | fell last year | depends on one supplier | was not checked | doubled | stays the same | is too slow |
improved | needs more staff
""")

ACTIONS = divided("replace | check | keep | sell | renew | close | repair | test | review | extend | publish | move")

# Questions by some words of a sentence, and around them.
ABOUT = divided("""
What do the documents say about {k}? | What does it say about {k}? | Where is {k} mentioned? | Tell me about {k}. |
What about {k}? | Which sentence is about {k}? | Explain {k}. | What is said about {k}? | Quote the sentence about
{k}.
""")

AROUND = divided("""
What {k}? | Which one {k}? | When {k}? | How {k}? | Why {k}? | Who {k}? | What happens when {k}? | Is it true that
{k}?
""")
