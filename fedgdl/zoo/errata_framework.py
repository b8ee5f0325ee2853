"""The errata of chapters 13 to 15, the framework and federated learning, and of what runs through the whole book.

Not here: those of the networks written by hand (`errata_by_hand`).

Example:
    >>> ERRATA_FRAMEWORK[0].id
    'B6'
"""

from typing import Final

from fedgdl.zoo.erratum import Erratum

__all__ = ["ERRATA_FRAMEWORK"]

ERRATA_FRAMEWORK: Final = (
    Erratum(
        id="B6",
        chapters=(13, 14, 15),
        title="A tensor that feeds several operations gets a wrong gradient",
        what_is_wrong="Only addition, subtraction and multiplication tell their inputs who sends a gradient. All "
        "other operations do not, so a tensor used twice sends on what it has accumulated so far with each arrival "
        "(counted double), or stops too early (lost). A sigmoid that feeds two products is off by a factor of 2 and "
        "more. The recurrent cell with summed losses is off by 55 to 137 % at two to three steps, the LSTM cell by 20 "
        "to 140 % on all but its output weights; right are one loss at the end, and one step.",
        what_is_right="Each result sends its gradient on once, after all of it has arrived: nodes are visited in the "
        "reverse order of their making. At 0 the slope of the sigmoid is 1/4, and 2/4 + 3/4 is 1.25.",
        command='python -c "from fedgdl import Tensor; x = Tensor([0.0], requires_grad=True); s = x.sigmoid(); '
        '(s * 2.0 + s * 3.0).backward(); print(x.grad)"',
        prints="[1.25]",
    ),
    Erratum(
        id="B7",
        chapters=(13, 14, 15),
        title="The error that would have shown it is silenced",
        what_is_wrong='Chapter 13 raises "cannot backprop more than once" when B6 strikes. Chapters 14 and 15 replace '
        "the error by an early return, and train on.",
        what_is_right="A tensor may be used as often as one likes; running the same graph backward a second time is "
        "an error that says so.",
        command='python -c "from fedgdl import Tensor; a, b, c = (Tensor([1.0, 2.0], requires_grad=True) '
        'for _ in range(3)); ((a + b) + (b + c)).sum().backward(); print(b.grad)"',
        prints="[2. 2.]",
    ),
    Erratum(
        id="B8",
        chapters=(13, 14, 15),
        title="Cross-entropy: a mean going forward, a sum going backward",
        what_is_wrong="The loss is divided by the number of examples and its gradient is not, so steps grow with the "
        "batch. The gradient that arrives from above is ignored: three times the loss has the gradient of the loss. "
        "Scores with more than two axes fail on the way back.",
        what_is_right="`reduction` is `mean`, `sum` or `none`, and the gradient is that of the number returned. The "
        "book's losses come out with the sum, or with four times the alpha on the mean of its four rows.",
        command='python -c "import numpy as np; from fedgdl import Tensor, nn; x = Tensor([[0.0, 0.0]], '
        'requires_grad=True); (3.0 * nn.CrossEntropyLoss()(x, np.array([0]))).backward(); print(x.grad)"',
        prints="[[-1.5  1.5]]",
    ),
    Erratum(
        id="B10",
        chapters=(13,),
        title="Selecting rows sends on the last gradient, not the sum of all",
        what_is_wrong="`index_select` keeps the gradient that came last. If the selected rows s are used twice, as in "
        "s + s, each row gets 1 instead of 2.",
        what_is_right="All gradients of the selection are added up first, and rows that are selected more than once "
        "add up too.",
        command='python -c "import numpy as np; from fedgdl import Tensor; t = Tensor(np.eye(2), requires_grad=True); '
        's = t[[0, 1]]; (s + s).sum().backward(); print(t.grad)"',
        prints="[[2. 2.]\n [2. 2.]]",
    ),
    Erratum(
        id="B11",
        chapters=(13, 14, 15),
        title="Gradients are shared, and graphs live for ever",
        what_is_wrong="An addition hands one gradient object to both inputs, and the optimiser zeroes in place: "
        "zeroing one wipes the other. Inputs and targets collect gradients that nobody asked for. No graph is ever "
        "released: the output weights of the LSTM have 24,900 children after two epochs.",
        what_is_right="Each leaf owns its gradient; constants get none; a graph is gone when the loss is.",
        command='python -c "from fedgdl import Tensor; a, b = (Tensor([1.0], requires_grad=True) for _ in range(2)); '
        '(a + b).backward(); a.grad[:] = 0; print(b.grad)"',
        prints="[1.]",
    ),
    Erratum(
        id="B12",
        chapters=(14,),
        title="Only the last step of each window is trained",
        what_is_wrong="In the recurrent character model a leftover loop uses the name of the summed loss again. Of 16 "
        "steps only the last is trained, and the perplexity printed is that of the last characters.",
        what_is_right="The loss of all steps of a window is trained and reported.",
        command="fedgdl zoo run ch14-rnn-characters",
        is_verified=False,
    ),
    Erratum(
        id="B13",
        chapters=(13, 14, 15),
        title="A recurrent cell with tanh cannot be made; layers are shared between models",
        what_is_wrong="The constructor compares (`==`) where it should assign, so asking for tanh ends in "
        "AttributeError. `Sequential()` without layers has a mutable default: two empty models share one list.",
        what_is_right="tanh, sigmoid and ReLU by name; each model has a list of its own.",
        command='python -c "import numpy as np; from fedgdl import nn; rng = np.random.default_rng(1); '
        "print(nn.RNNCell(2, 3, nonlinearity='tanh', rng=rng), len(nn.Sequential()))\"",
        prints="RNNCell(weight_ih (2, 3), weight_hh (3, 3), bias (3,)) 0",
    ),
    Erratum(
        id="B14",
        chapters=(13,),
        title="Building a graph changes later random numbers",
        what_is_wrong="Every tensor draws a number of up to 100,000 from NumPy's global generator for a name. So the "
        "start weights depend on how many tensors were made before them, and two tensors can have one name.",
        what_is_right="Tensors draw nothing. Weights come from a generator that is passed in.",
        command='python -c "import numpy as np; from fedgdl import Tensor; np.random.seed(0); '
        'Tensor([1.0]) + Tensor([2.0]); print(np.random.rand())"',
        prints="0.5488135039273248",
    ),
    Erratum(
        id="B15",
        chapters=(13,),
        title="Operands of other kinds or shapes drop the graph or break it",
        what_is_wrong="+, - and * build the graph only if both operands want gradients, and the matrix product looks "
        "at the left one only; otherwise it is dropped without a word. Broadcast additions and sums over the last "
        "axis return gradients of the wrong shape; numbers are no operands; integer tensors, and parameters that got "
        "no gradient, break the optimiser's step.",
        what_is_right="One operand that wants a gradient is enough, numbers and arrays are operands, and gradients "
        "have the shapes of what they belong to.",
        command='python -c "import numpy as np; from fedgdl import Tensor; x = Tensor([1.0, 2.0], requires_grad=True); '
        '(2 * x + np.ones((3, 2))).sum().backward(); print(x.grad)"',
        prints="[6. 6.]",
    ),
    Erratum(
        id="B16",
        chapters=(13, 14, 15),
        title="The mean squared error is a sum",
        what_is_wrong="`MSELoss` sums over the batch, so the size of a step depends on the size of the batch, whatever "
        "the name says.",
        what_is_right="`reduction` says which of the two it is. The recipes of chapters 13 and 15 ask for the sum.",
        command='python -c "from fedgdl import Tensor, nn; x, y = Tensor([0.5, 0.5]), Tensor([0.0, 0.0]); '
        "print(nn.MSELoss()(x, y).item(), nn.MSELoss('sum')(x, y).item())\"",
        prints="0.25 0.5",
        is_verified=False,
    ),
    Erratum(
        id="B21",
        chapters=(13,),
        title="The stories' network is tested on what it was trained on",
        what_is_wrong="The recurrent network sees rows 0 to 99 of 1,000 again and again, and its accuracy is measured "
        "on the same rows. The share of right answers is printed with a percent sign: 0.37 is 37 %.",
        what_is_right="All rows are trained on, others are tested on, and shares are shares.",
        command="fedgdl zoo run ch13-rnn ch13-rnn-stories",
        is_verified=False,
    ),
    Erratum(
        id="B23",
        chapters=(14,),
        title="Samples are not sampled",
        what_is_wrong="One sampler multiplies the scores by 15 and takes the largest, for which the 15 does nothing. "
        "The other takes the first character whose own probability exceeds a random number. Both change the model's "
        "output in place.",
        what_is_right="A character is drawn from the probabilities, at a temperature; the scores are left alone.",
        command="fedgdl zoo run ch14-lstm-characters",
        is_verified=False,
    ),
    Erratum(
        id="B24",
        chapters=(15,),
        title="The batch size passed in is not the one that is used",
        what_is_wrong="`batch_size` decides how many batches there are; how long they are, and what the loss is "
        "divided by, comes from a global `bs`. Bob's one e-mail is reported with a loss of 0.0005: a 500th of 0.25.",
        what_is_right="One batch size, an argument. The first e-mail from zero weights costs 0.25, and each of its "
        "five words moves by 0.0025 at the book's learning rate.",
        command="fedgdl zoo run ch15-hacking ch15-hacking-as-printed",
    ),
    Erratum(
        id="B25",
        chapters=(15,),
        title="One client's model is decrypted, never the sum",
        what_is_wrong="The three encrypted models are added, but then Sue's alone is decrypted and divided by a fixed "
        "3. A division changes no sign, so the accuracies are her own: 98.75, 99.05 and 99.15 % instead of 84.05, "
        "92.25 and 98.8 %. Encryption seems to make the model better, and the key argument is ignored for a global.",
        what_is_right="Decrypting the sum, and nothing but the sum, and dividing by the number of clients gives what "
        "plain averaging gives. `fedgdl run spam-book --set aggregation.kind=paillier` does that, with a key holder "
        "that adds up signed ciphertexts itself and opens one sum a round; `kind=secagg` gives the same with masks. "
        "`fedgdl attack book-paillier` shows both tables, encrypted in the book's way.",
        command="fedgdl zoo run ch15-encrypted ch15-encrypted-as-printed",
    ),
    Erratum(
        id="B26",
        chapters=(15,),
        title="A key of 128 bits: broken at once, and too small for sums of floats",
        what_is_wrong="Such a key is factored in less than a second on one core: `fedgdl attack book-paillier` does "
        "it, and decrypts a client's update with the factors. It also is too small to hold two floats of different "
        "sizes on one scale: depending on the key, 1.0 + 1e-22 decrypts to garbage without an error, or raises "
        "OverflowError.",
        what_is_right="Keys of 3,072 bits, or of 2,048 if asked for; shorter ones, for lessons and tests, only as "
        "`insecure_key_bits`. What is encrypted are whole numbers of a known range, in slots that have room for their "
        "sum, and a sum out of its slots' range is refused. The line shows 1.0 on the scale of 1e-22 under a modulus "
        "of 128 bits.",
        command='python -c "from phe.paillier import EncodedNumber, PaillierPublicKey; '
        "key = PaillierPublicKey(2**128 - 159); "
        'print(EncodedNumber.encode(key, 1.0).decrease_exponent_to(-32).decode())"',
        prints="4.672590044518593e-37",
    ),
    Erratum(
        id="B27",
        chapters=(15,),
        title="The size of every weight stays readable",
        what_is_wrong="The encoding of floats keeps a plain exponent beside each ciphertext: -14 for 0.0 and 0.1, -16 "
        "for -0.0025, -18 for 1e-6. The words of an e-mail can be read from which exponents changed, encrypted or not.",
        what_is_right="One scale for all numbers, which is part of the configuration: on the wire are ciphertexts of "
        "one length and nothing else. `fedgdl attack book-paillier` reads 99 % of the words of Bob's first update, and "
        "no other word, from exponents alone, and none on one scale.",
        command='python -c "from phe.paillier import EncodedNumber, PaillierPublicKey; '
        "key = PaillierPublicKey(2**2048 - 1); "
        'print([EncodedNumber.encode(key, value).exponent for value in (0.0, 0.1, -0.0025, 1e-6)])"',
        prints="[-14, -14, -16, -18]",
    ),
    Erratum(
        id="B28",
        chapters=(15,),
        title="Whoever holds the key sees each client's update",
        what_is_wrong="The holder of the private key is given single ciphertexts, and nothing makes it see only their "
        "sum. Nothing handles clients that drop out, damaged or replayed messages, or bounds what one client can do.",
        what_is_right="Under secure aggregation nobody holds a key to one client's update: the coordinator opens the "
        "sum over the clients that stayed, a client gives each of its peers' two secrets away at most once, and "
        "messages are signed, checked and bounded. Where updates are encrypted, the key is with a process that is not "
        "the coordinator and opens one sum a round, of enough clients and formed by itself; or it is shared out, so "
        "that nobody has it. The attack shows what is left to read, by the key holder too.",
        command="fedgdl attack words --against paillier --set data.source=synthetic-mail",
        is_verified=False,
    ),
    Erratum(
        id="B29",
        chapters=(15,),
        title="Every test e-mail is also a training e-mail",
        what_is_wrong="Both files hold the same e-mails six times over, so each of the 2,000 test rows is an exact "
        "copy of training rows, and the accuracies are training accuracies. The vocabulary is built from test data "
        "too, rows beyond the last full batch are dropped, clients of 1,000 and 39,908 rows count alike, and testing "
        "changes the model.",
        what_is_right="`spam` takes each e-mail once, none both in training and test, the vocabulary from training "
        "alone, and weights clients by their e-mails. `spam-book` keeps the book's data to give the book's numbers.",
        command="fedgdl run spam --set data.source=synthetic-mail",
    ),
    Erratum(
        id="B30",
        chapters=(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        title="Loops over rows, words and weights",
        what_is_wrong="Test sets are run one row at a time, selecting rows adds 250,000 numbers a batch one by one, "
        "and weights are encrypted one call each.",
        what_is_right="Operations on whole arrays, and a hundred weights and more in a ciphertext; the benchmark "
        "compares a training step with one written by hand in NumPy.",
        command="fedgdl bench spam --repeats 20",
    ),
)
