"""Every error that this library raises on purpose, in one tree.

    LLMError
    ├── ConfigError (ValueError)           a setting has a value that is not allowed
    ├── PrivacyError                       something would send data and cannot be kept from it
    ├── ModelError
    │   ├── ModelNotFoundError             no such model on disk or in the hub
    │   ├── ModelFormatError               the file is not a model that we can load safely
    │   ├── ModelLoadError                 the backend refused the model
    │   └── DownloadError
    │       └── OfflineError               a download was needed and downloads are forbidden
    ├── PoolError
    │   ├── PoolClosedError                the pool was closed by its owner
    │   ├── PoolTimeoutError               nothing became free in time
    │   ├── PoolBusyError                  too many wait for a model already
    │   ├── PoolCapacityError              the model can never fit the pool's limits
    │   └── HandleReleasedError            a lease was used after it was given back
    ├── RequestError (ValueError)          an argument of a call is wrong
    │   ├── ContextWindowError             the prompt is longer than the context window
    │   ├── TemplateError                  the chat template refused the messages
    │   └── SchemaError                    a JSON schema asks for what cannot be guaranteed
    ├── GenerationError
    │   ├── GenerationTimeoutError         the caller's time limit passed
    │   ├── GenerationCancelledError       somebody stopped the request or took its model back
    │   ├── EngineBusyError                the queue is full
    │   ├── EngineClosedError              the model was closed by its owner
    │   └── EngineFailedError              the backend broke
    ├── KnowledgeError
    │   ├── DocumentNotFoundError          the store has no document or chunk of this id
    │   ├── EmbedderMismatchError          the store's vectors were made by another embedding model
    │   └── KnowledgeStoreError            the store was closed, is damaged, or its database refused
    │       ├── StoreLockedError           another process has the store's folder open
    │       └── StoreFullError             the disk has no room left
    ├── SessionError
    │   ├── SessionNotFoundError           this owner has no such session, or it was deleted
    │   ├── SessionBusyError               another turn of the session did not end in time
    │   ├── SessionChangedError            somebody else continued the session meanwhile
    │   └── SessionStoreError              the database cannot be reached, is full, or refused
    └── DocumentError
        ├── DocumentSourceError            not a regular file of this machine that can be read
        ├── UnsupportedDocumentError       a kind of file that is not read
        ├── DocumentFormatError            the content is not what it should be
        │   ├── DocumentEmptyError         there is nothing in the file
        │   ├── DocumentDamagedError       the file is torn or broken
        │   ├── DocumentTypeError          the name says one kind of file and the content another
        │   └── DocumentEncodingError      the text is in no encoding that we can know
        ├── DocumentEncryptedError         a password is needed
        ├── DocumentTooLargeError          one of the limits on size was passed
        ├── DocumentTimeoutError           reading it took too long
        ├── ConversionCrashedError         the process that read it died
        └── DocumentLoaderClosedError      the loader was closed by its owner

A message names the identifier or setting and the next step. It never contains a prompt, a document or a reply.
"""

from __future__ import annotations


class LLMError(Exception):
    """Base of all errors raised on purpose by this library."""


class ConfigError(LLMError, ValueError):
    """A setting has a value that is not allowed; says which, what it was, and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field}={value!r} is not allowed: {allowed}.")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.field, self.value, self.allowed)


class PrivacyError(LLMError):
    """Something in this process would send data, or could, and cannot be kept from it any more."""


class ModelError(LLMError):
    """Something is wrong with a model, not with the request."""


class ModelNotFoundError(ModelError):
    """The named model is neither on disk nor in the hub."""


class ModelFormatError(ModelError):
    """The model file is damaged, hostile, or of a kind that is never loaded."""


class ModelLoadError(ModelError):
    """The backend refused a model whose file looked sound."""


class DownloadError(ModelError):
    """A model file could not be downloaded; what arrived so far is kept and resumed."""


class OfflineError(DownloadError):
    """A download was needed while downloads are forbidden."""


class PoolError(LLMError):
    """The pool could not hand out a model."""


class PoolClosedError(PoolError):
    """The pool was closed by its owner."""


class PoolTimeoutError(PoolError, TimeoutError):
    """No model became free within the time limit."""


class PoolBusyError(PoolError):
    """Too many requests wait for a model already; try again later."""


class PoolCapacityError(PoolError):
    """The model alone exceeds what the pool may hold, so waiting cannot help."""


class HandleReleasedError(PoolError):
    """A lease was used after it had been given back."""


class RequestError(LLMError, ValueError):
    """An argument of a call is wrong; nothing was generated."""


class ContextWindowError(RequestError):
    """The prompt does not fit the context window.

    Attributes:
        prompt_tokens: length of the rendered prompt in tokens.
        context_window: the most tokens that prompt and reply may have together.
    """

    def __init__(self, prompt_tokens: int, context_window: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.context_window = context_window
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and the context window holds {context_window} "
            "(one of them is needed for the reply). Shorten the prompt or raise LLM_N_CTX."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.prompt_tokens, self.context_window)


class TemplateError(RequestError):
    """The model's chat template refused the messages; carries the template's own words."""


class SchemaError(RequestError):
    """A JSON schema uses a keyword that constrained decoding cannot honour.

    Attributes:
        keyword: the keyword that cannot be honoured.
        path: where it stands in the schema, as a JSON pointer.
    """

    def __init__(self, message: str, *, keyword: str = "", path: str = "") -> None:
        self.keyword = keyword
        self.path = path
        super().__init__(message)


class GenerationError(LLMError):
    """A generation ended without an answer."""


class GenerationTimeoutError(GenerationError, TimeoutError):
    """The time limit that the caller set has passed; generation was stopped."""


class GenerationCancelledError(GenerationError):
    """The request was stopped by somebody else, or the lease under it was given back."""


class EngineBusyError(GenerationError):
    """The engine's queue is full; try again later."""


class EngineClosedError(GenerationError):
    """The model under this request was closed by its owner."""


class EngineFailedError(GenerationError):
    """The backend broke while computing; the model has to be loaded again."""


class KnowledgeError(LLMError):
    """Something is wrong with a knowledge store or with what it was asked for."""


class DocumentNotFoundError(KnowledgeError):
    """The store has no document, or no chunk, of this id; it may have been deleted or replaced."""


class EmbedderMismatchError(KnowledgeError):
    """The store's vectors were made by another embedding model, or have another length; nothing was changed."""


class KnowledgeStoreError(KnowledgeError):
    """The store cannot go on: it was closed, its files are damaged, or its database refused."""


class StoreLockedError(KnowledgeStoreError):
    """Another process, or another store object of this one, has the store's folder open."""


class StoreFullError(KnowledgeStoreError):
    """The disk has no room left. What was committed can still be read; nothing of the call is visible."""


class SessionError(LLMError):
    """Something is wrong with a stored conversation or its store."""


class SessionNotFoundError(SessionError):
    """This owner has no such session, or the session no such message."""


class SessionBusyError(SessionError, TimeoutError):
    """Another turn of the session is under way and did not end in time."""


class SessionChangedError(SessionError):
    """Somebody else continued the session in the meantime; what was to be added is not stored."""


class SessionStoreError(SessionError):
    """The store cannot be reached, is full, was closed, or refused; nothing of the call was stored."""


class DocumentError(LLMError):
    """A document could not be read; no part of it was returned.

    Attributes:
        filename: the document's name, as data.
    """

    def __init__(self, message: str, *, filename: str = "") -> None:
        self.filename = filename
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class DocumentSourceError(DocumentError):
    """What was named is not a regular file of this machine that can be read: missing, a folder, a link, an address."""


class UnsupportedDocumentError(DocumentError):
    """A kind of file that is not read."""


class DocumentFormatError(DocumentError):
    """The content of the file is not what it should be."""


class DocumentEmptyError(DocumentFormatError):
    """There is nothing in the file."""


class DocumentDamagedError(DocumentFormatError):
    """The file is torn, broken, or built in a way that no honest program writes."""


class DocumentTypeError(DocumentFormatError):
    """The file's name says one kind of document and its content another."""


class DocumentEncodingError(DocumentFormatError):
    """The text is in no encoding that the file names or that we can know."""


class DocumentEncryptedError(DocumentError):
    """The document needs a password."""


class DocumentTooLargeError(DocumentError):
    """The document, or what it unpacks to, is larger than a limit allows.

    Attributes:
        limit: name of the limit, as DocumentLimits has it.
    """

    def __init__(self, message: str, *, filename: str = "", limit: str = "") -> None:
        super().__init__(message, filename=filename)
        self.limit = limit


class DocumentTimeoutError(DocumentError, TimeoutError):
    """Reading the document took longer than allowed and was stopped."""

    def __str__(self) -> str:
        # OSError, above TimeoutError, has a `filename` of its own and would make a sentence of it.
        return str(self.args[0])


class ConversionCrashedError(DocumentError):
    """The process that read the document died of it; other documents are not affected."""


class DocumentLoaderClosedError(DocumentError):
    """The loader was closed by its owner."""


def _rebuild(kind: type[DocumentError], args: tuple[str], state: dict[str, object]) -> DocumentError:
    error = kind(*args)
    error.__dict__.update(state)
    return error
