"""The errata of chapters 3 to 12, where networks are written by hand.

Not here: those of the framework and of federated learning (`errata_framework`).

Example:
    >>> ERRATA_BY_HAND[0].id
    'B1'
"""

from typing import Final

from fedgdl.zoo.erratum import Erratum

__all__ = ["ERRATA_BY_HAND"]

ERRATA_BY_HAND: Final = (
    Erratum(
        id="B1",
        chapters=(8,),
        title="The slope of ReLU is always 1",
        what_is_wrong="The slope is taken to be 1 where the unit's output is >= 0. The output has been rectified "
        "before, so that holds everywhere: the backward pass treats the hidden layer as linear. The drop from 81 % to "
        "70.7 % test accuracy that chapter 8 shows as overfitting is mostly this.",
        what_is_right="The slope is 1 where the input was above 0, else 0. With the same data, start weights and "
        "learning rate the network reaches 99.9 % on its 1,000 training images after 350 epochs and keeps 82.9 % on "
        "the test images; its best is above 86 %.",
        command="fedgdl zoo run ch08-overfitting ch08-overfitting-as-printed",
    ),
    Erratum(
        id="B2",
        chapters=(8, 9, 10),
        title="Dropout scales the outputs but not the gradients",
        what_is_wrong="The forward pass multiplies what is kept by 2, the backward pass only masks it: hidden weights "
        "learn at half the rate that the forward pass calls for. The rate of one half is fixed in the code. In "
        "chapters 9 and 10 the slope of tanh is computed from the output after that doubling, and can be negative.",
        what_is_right="One factor, 1 / (1 - p), in both directions, for any p; slopes from the activation's own "
        "output. The 784-100-10 network of chapter 8 then keeps 87.35 % on the test images after 300 epochs, where "
        "the book has 81.8 %.",
        command="fedgdl zoo run ch08-dropout ch08-dropout-as-printed",
    ),
    Erratum(
        id="B3",
        chapters=(8,),
        title="A batch is applied once for each of its rows",
        what_is_wrong="The update of the batch version is indented into the loop over rows that counts correct "
        "answers. Each batch of 100 is applied 100 times, and the alpha of 0.001 acts like 0.1.",
        what_is_right="One update a batch. The hundred updates all use what the network gave before the first, so the "
        "as-printed recipe adds them up in closed form.",
        command="fedgdl zoo run ch08-batches ch08-batches-as-printed",
    ),
    Erratum(
        id="B4",
        chapters=(8,),
        title="The dropout fragment compares with the wrong label",
        what_is_wrong="The fragment that introduces dropout counts an answer as right when it equals the label with "
        "the index i + i + 1 (rows i to i + 1 were meant), so beyond half of the data it has no label at all.",
        what_is_right="The answer for row i is compared with label i.",
        command="fedgdl zoo run ch08-dropout",
        is_verified=False,
    ),
    Erratum(
        id="B5",
        chapters=(10,),
        title="The kernels climb the error instead of descending it",
        what_is_wrong="The update of the kernels has the wrong sign. The accuracy collapses around epochs 19 and 45, "
        "and recovers because the dense layer keeps learning. Besides, there are 25 x 25 windows of 3 x 3 in an image "
        "of 28 x 28 where there should be 26 x 26, and the last 104 of 1,000 images are never trained on but counted "
        "as wrong: no training accuracy above 0.896 is possible.",
        what_is_right="With the sign turned and nothing else changed the collapses are gone. With right windows, "
        "slopes and batches as well, kernels that start within 2 of zero (the book: 0.01) and dense weights within "
        "0.01 (0.1), the network reads 88.44 % of the test images after 61 epochs; the book's best is 88.18 % after "
        "220.",
        command="fedgdl zoo run ch10-convolution ch10-convolution-as-printed",
    ),
    Erratum(
        id="B9",
        chapters=(9, 10, 11, 12, 13, 14),
        title="Softmax overflows",
        what_is_wrong="The exponentials are taken of the scores as they are: a score of 1,000 gives NaN. Only the "
        "trained model of chapter 12 subtracts the largest score first.",
        what_is_right="The largest score is subtracted first, which changes nothing else.",
        command='python -c "from fedgdl import Tensor; print(Tensor([1000.0, 0.0]).softmax().data)"',
        prints="[1. 0.]",
    ),
    Erratum(
        id="B17",
        chapters=(12,),
        title="Backpropagation through time is one or two steps off",
        what_is_wrong="Hidden deltas are kept one place late and read one place early, so a word's vector gets the "
        "error from before the word was read. Against finite differences only the decoder's gradient is right; the "
        "words' is off by up to 2.5 times its size, the recurrent matrix's by 1.4, the start vector's by 0.8. The "
        "perplexity printed is always that of sentence 0, not of the corpus; and the word printed beside each input of "
        "the analysed sentence is the guess made before that input was read.",
        what_is_right="The core's gradients, checked against finite differences. With the vocabulary sorted and the "
        "book's start weights the perplexity of sentence 0 goes from 81.94 to 4.15, that of the whole corpus to 5.96.",
        command="fedgdl zoo run ch12-recurrent ch12-recurrent-as-printed",
    ),
    Erratum(
        id="B18",
        chapters=(11, 12),
        title="Vectors are scaled by the square of their length, and a slope is left out",
        what_is_wrong="The sentiment network leaves out the slope of its hidden sigmoid. What is called normalising "
        "word vectors multiplies each by its squared length, so scores of analogies lie near -210. Of the nearest "
        "words the first is dropped, whatever it is, instead of the words that were asked about.",
        what_is_right="The slope is there, vectors are divided by their length, and exactly the words of the question "
        "are left out of the answer.",
        command="fedgdl zoo run ch11-analogies ch11-sentiment",
        is_verified=False,
    ),
    Erratum(
        id="B19",
        chapters=(11,),
        title="Filling in the blank: lopsided context, lost and wrong updates",
        what_is_wrong="The context to the right is one word shorter than that to the left. The mean of the context is "
        "predicted from, but its gradient is not divided by the number of words. Words that occur twice in a context "
        "are updated once. A negative example can be the target itself, and an empty context gives NaN.",
        what_is_right="As many words on both sides, the mean's own gradient, repeated words added up, negatives that "
        "are never the target, and no step for a word without neighbours.",
        command="fedgdl zoo run ch11-fill-in",
        is_verified=False,
    ),
    Erratum(
        id="B20",
        chapters=(11, 12, 13, 14),
        title="Results depend on the order of a set",
        what_is_wrong="The vocabulary is a list made of a set, and Python orders the words of a set anew in each "
        "process. So numbers printed in chapters 11 to 14 cannot be repeated, only approached.",
        what_is_right="Vocabularies are sorted by code point; each run gives the same numbers.",
        command='python -c "from fedgdl.data import Vocabulary; '
        "v = Vocabulary.build([['the', 'cat'], ['a']]); print([v.word(i) for i in range(3)])\"",
        prints="['a', 'cat', 'the']",
        is_verified=False,
    ),
    Erratum(
        id="B22",
        chapters=(5, 8, 12, 14, 15),
        title="Notebooks depend on cells that are not there",
        what_is_wrong="Run from the top, cells of these chapters raise NameError or UnboundLocalError: chapter 5 uses "
        "weight deltas that it does not compute, chapter 12 variables of another notebook, chapter 15 a batch size "
        "that nobody set. Some printed outputs come from cells run twice (14) or from other code (3, 15).",
        what_is_right="A recipe is one function; it runs by name, from nothing, and is held to its numbers.",
        command="fedgdl zoo run ch05-multiple-inputs",
    ),
    Erratum(
        id="B31",
        chapters=(3, 4, 5, 6),
        title="Helpers for three numbers only, and no derivative is checked",
        what_is_wrong="The helpers for weighted sums and outer products have the length 3 built in, and the one for a "
        "matrix product works for square matrices only. No derivative in the book is compared with a difference "
        "quotient, which would have shown B1, B2, B5, B6 and B17. In early printings of chapter 5 the outer product "
        "for several inputs and outputs is transposed.",
        what_is_right="Products of any shapes that fit, others refused; every operation's gradient is checked "
        "numerically.",
        command='python -c "import numpy as np; from fedgdl.autograd import gradcheck, matmul; '
        "rng = np.random.default_rng(1); "
        'gradcheck(matmul, [rng.normal(size=(4, 3)), rng.normal(size=(3, 2))], rng); print(True)"',
        prints="True",
        is_verified=False,
    ),
)
