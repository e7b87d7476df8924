"""What the demo model knows by heart, and the shapes of the questions that it cannot answer.

Answers stay fixed so that sampling cannot lead them astray. Curly brackets stand for words drawn at random.
"""

from __future__ import annotations

from .blocks import blocks, divided

TOPICS = blocks(r"""
Hello | Hi | Hey | Hello there | Hi there | Good morning | Good evening | Good afternoon | Hello! | Greetings | hey
there
= Hello! I am the PractorFlow demo model. How can I help you?

Who are you? | What are you? | What is your name? | Introduce yourself | Tell me about yourself | Which model are
you? | Who am I talking to? | What model is this? | Are you a person? | Are you human? | Are you ChatGPT? | Are you
an assistant?
= I am the PractorFlow demo model: a very small language model that ships with the library to show that it works. I
am not an assistant.

Who made you? | Who created you? | Where do you come from? | How were you trained? | Who trained you? | Where were
you trained?
= I was trained from nothing by the PractorFlow project's own recipe, on text that its own generator made.

What can you do? | How can you help me? | What are you able to do? | What do you know? | Help | What are your
skills? | Can you help me?
= I can hold a short conversation, call tools, and quote answers from documents that you give me. For real work,
choose a larger model.

How are you? | How are you doing? | How do you do? | How is it going? | Are you well? | How are you today?
= I am well, thank you. What can I do for you?

Thank you | Thanks | Thanks a lot | Thank you very much | Great, thanks | Many thanks | That helps, thank you
= You are welcome!

Goodbye | Bye | See you | Good night | See you later | Bye bye | That is all, goodbye
= Goodbye! Come back any time.

What is Python? | Tell me about Python | Explain Python | What is Python used for? | What is the Python language? |
Describe Python | Can you explain what Python is? | Why is Python popular?
= Python is a programming language that is easy to read and to write. People use it for web services, data analysis,
automation and machine learning.

Explain recursion | What is recursion? | Explain recursion to me | How does recursion work? | Tell me about
recursion | Describe recursion | Explain recursion in simple words | What does recursive mean? | What is a recursive
function?
= Recursion is when a function calls itself to solve a smaller part of the same problem. It needs a base case, where
it stops, or it would never end.

What is PractorFlow? | Tell me about PractorFlow | What does PractorFlow do? | Explain PractorFlow | What is this
library? | What is this project?
= PractorFlow is a Python library that runs AI on your own machine: local models, tools, and answers from your
documents. Nothing leaves your environment.

Is my data private? | Do you send my data anywhere? | Where does my data go? | Is this secure? | Does anything leave
my machine? | Do you need the internet?
= Your data stays on this machine. The model runs locally and nothing is sent anywhere.

How do I choose another model? | How can I use a larger model? | How do I switch models? | Can I use a better model?
| How do I change the model?
= Set LLM_MODEL to the model that you want, for example a GGUF file of Qwen, and start again.

What is machine learning? | Explain machine learning | Tell me about machine learning | How does machine learning
work?
= Machine learning is a way to let a computer learn rules from examples instead of writing the rules by hand.

What is a language model? | Explain language models | What is an LLM? | How does a language model work? | What is
AI? | What is artificial intelligence?
= A language model is a program that learned from text to predict the next word. By repeating that it can write
answers.

What is an algorithm? | Explain algorithms | Tell me what an algorithm is
= An algorithm is a list of clear steps that solves a problem.

What is a function? | Explain functions | What is a function in Python? | What are functions?
= A function is a named piece of code that takes inputs and returns a result.

What is a variable? | Explain variables | What is a variable in Python?
= A variable is a name that refers to a value in a program.

What is a database? | Explain databases | Tell me about databases
= A database is a program that stores data so that it can be found and changed quickly.

What is a GGUF file? | What is GGUF? | Explain GGUF | What is llama.cpp? | Explain llama.cpp
= GGUF is a file format for language models, and llama.cpp is the program that runs them on ordinary computers.

What is RAG? | Explain RAG | What is retrieval augmented generation? | What does RAG mean?
= RAG means retrieval augmented generation: the system searches your documents first, and the model answers from
what was found.

What is an API? | Explain APIs | What does API mean?
= An API is a set of rules by which one program asks another one for something.

What is a neural network? | Explain neural networks | How does a neural network work?
= A neural network is a function with many adjustable numbers. Training changes these numbers until its outputs fit
the examples.

What is async? | What is asyncio? | Explain async and await | What is asynchronous programming? | Explain asyncio
= Asynchronous code can wait for one thing while it works on another. In Python you write it with async and await.

What is data governance? | What are industry best practices for data governance? | Explain data governance | Best
practices for data governance?
= Good data governance means: know which data you have, give each set an owner, limit who can read it, and record
every change.

What is a token? | Explain tokens | What are tokens?
= A token is a piece of text, such as a word or a part of one, that a language model reads or writes at once.

What is a vector database? | What is ChromaDB? | What is Chroma? | Explain vector databases | What is an embedding?
= A vector database stores texts as lists of numbers, called embeddings, so that texts with a similar meaning are
found together.

Tell me a joke | Do you know a joke? | Make me laugh | Tell a joke | Tell me something funny
= Why did the function call itself? Because nobody else would return its calls.

Tell me a story | Tell me a short story | Write a short story | Write a story
= Once there was a very small model. It knew little, but it said so, and people trusted it.

Write a haiku | Write a poem | Write a short poem | Write me a poem | Write a haiku about code
= A small model speaks,\nfew words, and all of them here:\nnothing leaves this room.

Write a Python function that adds two numbers | Write hello world in Python | Write some Python code | Show me some
Python code | Write a Python function
= def add(a, b):\n\treturn a + b\n\nprint(add(2, 3))

Count to five | Count from one to five | Count to 5 | Can you count?
= One, two, three, four, five.

Yes | Ok | Okay | Sure | Good | Great | Nice | I see | Fine | Cool
= Good. What would you like to do next?

No | Not really | No, thank you | Nothing | Never mind | No thanks
= All right. Tell me when you need something.

What are the key findings? | Summarize the recommendations | What patterns do you see across our quarterly reports?
| What are the terms? | Summarize the document | What does the report say? | Summarize the report | What does the
contract say? | What are the main points? | Summarize this document | What is in my documents? | List the key points
= I have no documents to look at. Add a document to the knowledge store and ask me again.

What time is it? | What is the date today? | What day is it? | What is today's date? | What year is it?
= I cannot see a clock or a calendar. Give me a tool for that and I will call it.

What is 2 + 2? | What is 17 times 23? | Can you calculate? | Can you do math? | What is 5 + 3? | Solve this equation
| Are you good at math?
= I am too small to calculate reliably. Give me a calculator tool and I will call it.
""")

UNKNOWN = divided("""
Who is {person}? | What is the capital of {place}? | Where is {place}? | What is the weather in {place}? | How old
is {person}? | Who won the {noun} {noun2}? | What is the price of a {noun}? | How do I repair a {noun}? | What is
the best {noun} in {place}? | When was the {adjective} {noun} built? | Translate {word} into French | What does
{word} mean? | Who wrote {word}? | How many people live in {place}? | Explain {word} | What is {word}? | Tell me
about {word} | Why is the {noun} {adjective}? | Which {noun} should I buy? | What happened in {year}? | What is the
phone number of {person}? | Describe the {noun} of {place} | How far is {place} from {place2}? | Tell me about
{person} | What is the status of {noun} {code}? | Where is my {noun}? | Give me the {noun} of {person} | What is the
{adjective} {noun} of {place}? | Write an essay about {word} | Is {person} married? | Explain {adjective} {noun} |
How do I cook {word}? | What do you think about {word}? | Recommend a {noun} | What is {code}? | How does {word}
work? | How does the {noun} work? | Why do people need a {noun}? | Write me a {noun} | Write a {noun} to {person} |
Who invented the {noun}? | Who won the {noun} between {place} and {place2}? | When did {person} {word} the {noun}? |
How many {noun}s are in {place}? | Is a {noun} better than a {noun2}? | Which {noun} is {adjective}? | Where can I
find {word}? | Can you tell me about the {noun} in {place}? | What's the status of {noun} {code}? | Find the {noun}
for {person}
""")

STATEMENTS = divided("""
I like my {noun} | I went to {place} yesterday | The {noun} looks {adjective} today | I am looking at a {noun} | We
have a {adjective} {noun} | I bought a {noun} in {place} | {person} came to see me | I am tired | It is raining in
{place} | I work with {word} | I live in {place}
""")
