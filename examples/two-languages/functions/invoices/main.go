// Invoices takes shop.order.confirmed and logs an invoice. Plain Go, no modules: a CloudEvent in binary mode is a POST
// whose attributes are the headers that begin with Ce-.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
)

type order struct {
	Number   int     `json:"number"`
	Total    float64 `json:"total"`
	Currency string  `json:"currency"`
}

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var confirmed order
		if err := json.NewDecoder(r.Body).Decode(&confirmed); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.Printf("invoice for order %d: %.2f %s (event %s)", confirmed.Number, confirmed.Total, confirmed.Currency,
			r.Header.Get("Ce-Id"))
		w.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe(os.Getenv("HOST")+":"+os.Getenv("PORT"), nil))
}
